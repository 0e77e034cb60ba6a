"""Settings that all processes of a site must share, and which of them are unset in this process.

Unset, each is a file or a queue of this machine. That works with a database on this machine only.
With a shared database other machines cannot open credentials that are sealed here, and runners on
them get no messages of jobs. Whether a variable was set is read from the settings: processes
remove the variables that hold secrets from their environment.
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
    given = {
        KEYS: settings.CONVEYOR_KEYS_GIVEN,
        SECRET_KEY: settings.CONVEYOR_SECRET_KEY_GIVEN,
    }
    for name, is_given in given.items():
        if not is_given:
            yield Unshared(
                name,
                f"{name} is not set, but CONVEYOR_DATABASE_URL is: this machine uses one of its "
                "own.",
                f"Set {name} to the same value for all processes of the site.",
            )
    # Only this machine can use a SQLite file, so its queue may be of this machine too.
    if not settings.CONVEYOR_DATABASE_IS_FILE and not settings.CONVEYOR_BROKER_URL:
        yield Unshared(
            QUEUE,
            f"{QUEUE} is not set, but CONVEYOR_DATABASE_URL is: the queue is one of this machine "
            "alone, and runners of other machines begin later.",
            f"Set {QUEUE} to the same value for all processes of the site.",
        )
