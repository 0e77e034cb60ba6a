"""Keeping guessers of passwords waiting: per account and address, in Django's cache."""

from __future__ import annotations

import hashlib
import unicodedata

from django.core.cache import cache

FAILURES = 5
WINDOW_S = 60


class LoginThrottle:
    """Counts wrong passwords for one account from one address within a minute.

    A try counts before its password is looked at, so that many at once are as many as one after
    another; the one that was right is taken off again.
    """

    sentence = f"Too many wrong passwords. Wait {WINDOW_S} seconds and try again."

    def __init__(self, username: str, address: str) -> None:
        # As the form reads a name: however it is written, it is one account.
        account = unicodedata.normalize("NFKC", username).strip().lower()
        whose = hashlib.sha256(f"{account}\n{address}".encode(errors="replace")).hexdigest()
        self._key = f"login-failures-{whose}"

    def admits(self) -> bool:
        """Count a try; return whether its password is to be looked at.

        The window begins with the first.
        """
        cache.add(self._key, 0, timeout=WINDOW_S)
        try:
            return int(cache.incr(self._key)) <= FAILURES
        except ValueError:  # The window has ended at this very moment.
            return True

    def forgive(self) -> None:
        """Take back the try: its password was right."""
        try:
            cache.decr(self._key)
        except ValueError:
            return
