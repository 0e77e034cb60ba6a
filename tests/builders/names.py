"""Names and numbers that no other row has."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

_numbers = count(1)
#: What lies between two things that happened to a row.
MOMENT = timedelta(seconds=1)


def number() -> int:
    """Return a number that was not used yet."""
    return next(_numbers)


def named(name: str | None, stem: str) -> str:
    """Return the name, or one of that stem that is unique where none is given."""
    return name if name is not None else f"{stem}-{number()}"
