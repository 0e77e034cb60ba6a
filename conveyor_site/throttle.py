"""Keeping guessers of passwords waiting: per account and address, in Django's cache."""

from __future__ import annotations

import hashlib

from django.core.cache import cache

FAILURES = 5
WINDOW_S = 60


class LoginThrottle:
    """Counts wrong passwords for one account from one address within a minute."""

    sentence = f"Too many wrong passwords. Wait {WINDOW_S} seconds and try again."

    def __init__(self, username: str, address: str) -> None:
        whose = hashlib.sha256(f"{username.lower()}\n{address}".encode()).hexdigest()
        self._key = f"login-failures-{whose}"

    def is_closed(self) -> bool:
        """Return whether further passwords are not even looked at."""
        return int(cache.get(self._key, 0)) >= FAILURES

    def note_failure(self) -> None:
        """Count a wrong password; the window begins with the first."""
        cache.add(self._key, 0, timeout=WINDOW_S)
        cache.incr(self._key)
