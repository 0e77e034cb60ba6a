"""Checks of settings in the environment, except URLs of services and folders."""

from __future__ import annotations

import math
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def checked_time_scale(text: str) -> float:
    """Return the divisor of the engine's times. Raises ImproperlyConfigured."""
    try:
        scale = float(text)
    except ValueError:
        scale = math.nan
    if not (math.isfinite(scale) and scale > 0):
        raise ImproperlyConfigured(
            f"CONVEYOR_TIME_SCALE is {text!r}. It must be a number above 0, such as 1."
        )
    return scale


def checked_count(name: str, text: str) -> int:
    """Return the number of a setting, 0 or more. Raises ImproperlyConfigured."""
    if not (text.isascii() and text.isdecimal() and len(text) < 15):
        raise ImproperlyConfigured(f"{name} is {text!r}. It must be a whole number, 0 or more.")
    return int(text)


def checked_log_level(text: str) -> str:
    """Return the level of the log. Raises ImproperlyConfigured for an unknown level."""
    if text not in LOG_LEVELS:
        raise ImproperlyConfigured(
            f"CONVEYOR_LOG_LEVEL is {text!r}. It must be one of {', '.join(LOG_LEVELS)}."
        )
    return text


def checked_public_url(text: str) -> str:
    """Return the URL without a slash at its end. Raises ImproperlyConfigured if it is invalid."""
    if not _is_reachable(text):
        raise ImproperlyConfigured(
            f"CONVEYOR_PUBLIC_URL is {text!r}. It must be http:// or https:// with a host, such as "
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
    except ValueError:  # an invalid port or invalid brackets
        return False
