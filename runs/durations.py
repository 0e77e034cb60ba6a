"""Lengths of time in words; ``live.js`` says the same while a clock ticks."""

from __future__ import annotations


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
