"""Settings of the environment that are neither URLs of services nor folders, checked."""

from __future__ import annotations

import math
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def checked_time_scale(text: str) -> float:
    """Return what the engine's times are divided by. Raises ImproperlyConfigured."""
    try:
        scale = float(text)
    except ValueError:
        scale = math.nan
    if not (math.isfinite(scale) and scale > 0):
        raise ImproperlyConfigured(
            f"CONVEYOR_TIME_SCALE is {text!r}; it takes a number above 0, such as 1."
        )
    return scale


def checked_count(name: str, text: str) -> int:
    """Return the number that a setting takes, 0 or more. Raises ImproperlyConfigured."""
    if not (text.isascii() and text.isdecimal() and len(text) < 15):
        raise ImproperlyConfigured(f"{name} is {text!r}; it takes a whole number, 0 or more.")
    return int(text)


def checked_log_level(text: str) -> str:
    """Return the level of the log. Raises ImproperlyConfigured for one that is not known."""
    if text not in LOG_LEVELS:
        raise ImproperlyConfigured(
            f"CONVEYOR_LOG_LEVEL is {text!r}; it takes one of {', '.join(LOG_LEVELS)}."
        )
    return text


def checked_public_url(text: str) -> str:
    """Return the URL without a slash at its end. Raises ImproperlyConfigured for no such URL."""
    if not _is_reachable(text):
        raise ImproperlyConfigured(
            f"CONVEYOR_PUBLIC_URL is {text!r}; it takes http:// or https:// with a host, such as "
            "https://conveyor.example.org."
        )
    return text.rstrip("/")


def _is_reachable(text: str) -> bool:
    """Return whether the text is an address of pages: a scheme, a host, and no broken port."""
    if not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of a port that is no number, or of brackets
        return False
