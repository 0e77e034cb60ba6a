"""Masking secrets in a stream of bytes before it leaves the runner."""

from __future__ import annotations

from collections.abc import Iterable

from runners.executor.secret_forms import forms_of

MASK = "••••".encode()


class Masker:
    """Replaces each occurrence of a secret, in any of its forms, by one mask.

    What comes out does not depend on how the stream was cut into pieces. Held back is only the
    longest end of the stream that may be the beginning of a secret. Bytes that are no UTF-8 pass
    unchanged. Overlapping occurrences are one mask.
    """

    def __init__(self, secrets: Iterable[bytes]) -> None:
        self._forms = forms_of(secrets)
        self._held = b""
        # So many first bytes of what is held are under a mask that was already given out.
        self._covered = 0

    def another(self) -> Masker:
        """Return a masker of the same secrets for another stream."""
        twin = Masker(())
        twin._forms = self._forms
        return twin

    def feed(self, data: bytes) -> bytes:
        """Return what may be shown of the stream after these further bytes."""
        if not self._forms:
            return data
        data = self._held + data if self._held else data
        return self._show(data, self._start_of_partial(data))

    def flush(self) -> bytes:
        """Return the rest: the stream has ended."""
        return self._show(self._held, len(self._held))

    def mask(self, text: str) -> str:
        """Return a whole text with its secrets masked; leaves the stream alone."""
        if not self._forms:
            return text
        other = self.another()
        shown = other.feed(text.encode(errors="surrogateescape")) + other.flush()
        return shown.decode(errors="replace")

    def reveals(self, value: bytes) -> bool:
        """Return whether a secret stands in ``value``."""
        return any(form in value for form in self._forms)

    def _show(self, data: bytes, until: int) -> bytes:
        """Return data[:until] masked; hold the rest."""
        shown: list[bytes] = []
        position = self._covered
        for start, end in self._occurrences(data):
            if start >= until:
                break
            if start >= position:
                shown += (data[position:start], MASK)
            position = max(position, end)
        shown.append(data[position:until])
        self._held = data[until:]
        self._covered = max(0, position - until)
        return b"".join(shown)

    def _occurrences(self, data: bytes) -> list[tuple[int, int]]:
        """Return (start, end) of every occurrence, in order, overlapping ones too."""
        found: list[tuple[int, int]] = []
        # One search per form is faster than one regular expression of them all: the search skips.
        for form in self._forms:
            start = data.find(form)
            while start >= 0:
                found.append((start, start + len(form)))
                start = data.find(form, start + 1)
        found.sort()
        return found

    def _start_of_partial(self, data: bytes) -> int:
        """Return where the longest end of data begins that a form begins with."""
        earliest = len(data)
        for form in self._forms:
            start = data.find(form[:1], max(0, len(data) - len(form) + 1), earliest)
            while start >= 0:
                if form.startswith(data[start:]):
                    earliest = start
                    break
                start = data.find(form[:1], start + 1, earliest)
        return earliest
