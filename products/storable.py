"""Characters that texts must not contain: NUL and surrogates, which no database accepts."""

from __future__ import annotations

import re

#: With the number of a character, by ``format``.
LEAVE_OUT = "Leave out the character U+{number:04X}, which no text may hold."
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def unstorable(text: str) -> int | None:
    """Return the number of the first character that no text may hold, None without one."""
    found = _UNSTORABLE.search(text)
    return ord(found[0]) if found else None


def storing_problem(text: str) -> str | None:
    """Return a message about a text that cannot be stored, None for one that can."""
    number = unstorable(text)
    return None if number is None else LEAVE_OUT.format(number=number)
