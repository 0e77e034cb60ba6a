"""Durations as a belt file writes them: ``90``, ``30s``, ``10m``, ``1h30m``, ``1d``."""

from __future__ import annotations

import re

PATTERN = r"[0-9]{1,9}|(?=[0-9])([0-9]{1,5}d)?([0-9]{1,7}h)?([0-9]{1,7}m)?([0-9]{1,9}s)?"
_PARTS = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", re.ASCII)
_WHOLE = re.compile(PATTERN, re.ASCII)
_SECONDS = (86_400, 3_600, 60, 1)


def parse_duration(text: str) -> int | None:
    """Return the seconds that ``text`` means, or None when it is no duration.

    A bare number is seconds.
    """
    if not _WHOLE.fullmatch(text):
        return None
    match = _PARTS.fullmatch(text)
    if match is None:
        return None
    return sum(int(part or 0) * unit for part, unit in zip(match.groups(), _SECONDS, strict=True))


def format_duration(seconds: int) -> str:
    """Return the shortest text that ``parse_duration`` reads as ``seconds``."""
    if seconds == 0:
        return "0s"
    text = ""
    for unit, letter in zip(_SECONDS[1:], "hms", strict=True):
        count, seconds = divmod(seconds, unit)
        text += f"{count}{letter}" if count else ""
    return text
