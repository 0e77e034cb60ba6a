"""Durations as text; ``live.js`` shows the same text for running jobs."""

from __future__ import annotations

from typing import Any

from runs.states import Reason


def in_words(seconds: float) -> str:
    """Return a length of time, such as < 0.1 s, 0.4 s, 12 s, 3 min 5 s or 2 h 4 min."""
    if seconds < 0.05:
        return "< 0.1 s"
    if seconds < 0.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def length_of(row: Any) -> str:
    """Return how long a run or attempt that has ended took.

    Of one whose runner was lost it is only known that it took no longer than until that was seen.
    """
    words = in_words((row.finished_at - row.started_at).total_seconds())
    is_lost = getattr(row, "reason", None) == Reason.RUNNER_LOST
    return f"at most {words.removeprefix('< ')}" if is_lost else words
