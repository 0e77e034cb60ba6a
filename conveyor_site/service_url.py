"""Checks of the URLs of the database and the queue, which may contain passwords."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def scheme_of(url: str) -> str:
    """Return the scheme of a URL in lower case; empty for a text without one."""
    found = _SCHEME.match(url)
    return found[1].lower() if found else ""


def require_readable(url: str, setting: str, *, has_login: bool = True) -> None:
    """Raise ImproperlyConfigured for an invalid URL; the message contains no part of it."""
    if not _is_readable(url, has_login=has_login):
        raise ImproperlyConfigured(
            f"{setting} is not a valid URL. In a password, write / # ? [ ] @ % ; as %2F %23 %3F "
            "%5B %5D %40 %25 %3B."
        )


def _is_readable(url: str, *, has_login: bool) -> bool:
    if not url.isprintable() or "%00" in url:
        return False
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # an invalid port or invalid brackets
        return False
    # A raw / ? or # in a password ends the host. Then the @ of the login is in a later part.
    is_cut = has_login and "@" in parts.path + parts.query
    return not (is_cut or "#" in url)
