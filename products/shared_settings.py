"""Settings that all processes of a site must share; find those that are unset in this process.

The default of each is a file or a queue of this machine. That works with a database on this machine
only. With a shared database, other machines cannot open credentials that were encrypted here, and
their runners get no messages. The Django settings record whether a variable was set, because
processes remove variables with secrets from their environment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings

KEYS = "CONVEYOR_KEYS"
SECRET_KEY = "CONVEYOR_SECRET_KEY"  # noqa: S105 - the name of a setting
QUEUE = "CONVEYOR_BROKER_URL"


@dataclass(frozen=True, slots=True)
class Unshared:
    """A setting that is not set although the database is shared: the effect and a way out."""

    name: str
    what: str
    way_out: str

    def __str__(self) -> str:
        return f"{self.what} {self.way_out}"


def unshared_settings(*names: str) -> list[Unshared]:
    """Return those of these settings that this machine does not share, although it must."""
    return [each for each in _unshared() if each.name in names]


def _unshared() -> Iterator[Unshared]:
    if settings.CONVEYOR_EMBEDDED:
        return
    given = {
        KEYS: settings.CONVEYOR_KEYS_GIVEN,
        SECRET_KEY: settings.CONVEYOR_SECRET_KEY_GIVEN,
    }
    for name, is_given in given.items():
        if not is_given:
            yield Unshared(
                name,
                f"CONVEYOR_DATABASE_URL is set and {name} is not. This machine uses a value of its "
                "own.",
                f"Set {name} to the same value for all processes of the site.",
            )
    # Only this machine can use a SQLite file, so its queue may be of this machine too.
    if not settings.CONVEYOR_DATABASE_IS_FILE and not settings.CONVEYOR_BROKER_URL:
        yield Unshared(
            QUEUE,
            f"CONVEYOR_DATABASE_URL is set and {QUEUE} is not. This machine uses a queue of its "
            "own, so runners on other machines start jobs later.",
            f"Set {QUEUE} to the same value for all processes of the site.",
        )
