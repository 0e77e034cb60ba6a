"""Settings that all processes of a site share: which of them this process makes do without.

Unset they are a file or a queue of this one machine. That is right beside a database of this one
machine, and goes wrong beside one that others use as well: then credentials that are sealed here
cannot be opened elsewhere, and hints are heard by nobody.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings

KEYS = "CONVEYOR_KEYS"
SECRET_KEY = "CONVEYOR_SECRET_KEY"  # noqa: S105 - the name of a setting
QUEUE = "CONVEYOR_BROKER_URL"
_SECRETS = (KEYS, SECRET_KEY)


@dataclass(frozen=True, slots=True)
class Unshared:
    """A setting that is not set though the database is shared: what that means, and what helps."""

    name: str
    what: str
    way_out: str

    def __str__(self) -> str:
        return f"{self.what} {self.way_out}"


def unshared_settings(*names: str) -> list[Unshared]:
    """Return those of these settings that are of this machine alone, beside a shared database."""
    return [each for each in _unshared() if each.name in names]


def _unshared() -> Iterator[Unshared]:
    if settings.CONVEYOR_EMBEDDED:
        return
    for name in _SECRETS:
        if not os.environ.get(name):
            yield Unshared(
                name,
                f"{name} is not set, but CONVEYOR_DATABASE_URL is: this machine uses one of its "
                "own.",
                f"Set {name} to the same value for all processes of the site.",
            )
    # A file of SQLite is of one machine, and so may its queue be.
    is_file = os.environ.get("CONVEYOR_DATABASE_URL", "").startswith("sqlite")
    if not is_file and not settings.CONVEYOR_BROKER_URL:
        yield Unshared(
            QUEUE,
            f"{QUEUE} is not set, but CONVEYOR_DATABASE_URL is: the queue is one of this machine "
            "alone, and runners of other machines begin later.",
            f"Set {QUEUE} to the same value for all processes of the site.",
        )
