"""Reading the URLs of the database and of the queue, which may hold passwords."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def scheme_of(url: str) -> str:
    """Return the scheme of a URL in lower case; empty for a text that begins with none."""
    found = _SCHEME.match(url)
    return found[1].lower() if found else ""


def require_readable(url: str, setting: str, *, has_login: bool = True) -> None:
    """Raise ImproperlyConfigured for a URL that cannot be read, without any part of it."""
    if not _is_readable(url, has_login=has_login):
        raise ImproperlyConfigured(
            f"{setting} cannot be read as a URL. Write / # ? [ ] @ % ; of a password as %2F %23 "
            "%3F %5B %5D %40 %25 %3B."
        )


def _is_readable(url: str, *, has_login: bool) -> bool:
    if not url.isprintable() or "%00" in url:
        return False
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # of a port that is no number, or of brackets
        return False
    # A raw / ? or # in a password ends the host there. Then what follows has the @ of the login.
    is_cut = has_login and "@" in parts.path + parts.query
    return not (is_cut or "#" in url)
