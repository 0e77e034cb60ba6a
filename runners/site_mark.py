"""What keeps the messages of this site apart from those of others on one server of Redis.

Two sites with one address of a queue would take each other's hints: a job of either would then
start when a runner polls, and nothing would tell why. So all keys have a mark of the site in them.
It is made of the moment at which the site's database got its first table: all processes of a site
find the same one there, without a row that somebody would have to write first.
"""

from __future__ import annotations

import hashlib
from datetime import UTC
from typing import Any

from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from runners.broker import is_embedded
from runners.settings_block import KEY_PREFIX, transport_options

_LENGTH = 12
# By the database, since a process of tests has several.
_known: dict[tuple[str, ...], str] = {}


def options_of_site(url: str) -> dict[str, Any]:
    """Return the options of the transport, under which this site meets no other one.

    Reads the database once in a process. Raises DatabaseError where that cannot be done.
    """
    options = transport_options(url)
    if KEY_PREFIX in options:
        options[KEY_PREFIX] += f"{site_mark()}:" if site_mark() else ""
    return options


def site_mark() -> str:
    """Return the mark; empty for an embedded queue, which is the site's own.

    Raises DatabaseError.
    """
    if is_embedded():
        return ""
    place = _place()
    if place not in _known:
        _known[place] = _read()
    return _known[place]


def know_site_mark(mark: str) -> None:
    """Remember the mark for a process that does not look into the database, and its children."""
    _known[_place()] = mark


def _place() -> tuple[str, ...]:
    where = connection.settings_dict
    return tuple(str(where[part]) for part in ("HOST", "PORT", "NAME"))


def _read() -> str:
    applied = MigrationRecorder.Migration.objects.order_by("id").values_list("applied", flat=True)
    moment = applied.first()
    if moment is None:
        return ""
    text = moment.astimezone(UTC).isoformat(timespec="microseconds")
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]
