"""Masking secrets in a stream of bytes before it leaves the runner."""

from __future__ import annotations

from collections.abc import Iterable

from runners.executor.secret_forms import forms_of
from runners.executor.sights import ColouredSight, Seen, Sight, WrappedSight, begun_sequence

MASK = "••••".encode()


class Masker:
    """Replaces each occurrence of a secret, in any of its forms, by one mask.

    What comes out does not depend on how the stream was cut into pieces. Held back is only the
    longest end of the stream that may be the beginning of a secret. Bytes that are no UTF-8 pass
    unchanged. Overlapping occurrences are one mask, and so is one with line ends or colours in it.
    """

    def __init__(self, secrets: Iterable[bytes]) -> None:
        forms = forms_of(secrets)
        sights = (Sight(forms.exact), ColouredSight(forms.plain), WrappedSight(forms.coded))
        self._sights = tuple(sight for sight in sights if sight.forms)
        self._held = b""
        # So many first bytes of what is held were given out already, as they are or masked.
        self._given = 0

    def another(self) -> Masker:
        """Return a masker of the same secrets for another stream."""
        twin = Masker(())
        twin._sights = self._sights
        return twin

    def feed(self, data: bytes) -> bytes:
        """Return what may be shown of the stream after these further bytes."""
        if not self._sights:
            return data
        data = self._held + data if self._held else data
        seen = self._look(data)
        return self._show(data, seen, min(seen.shown, begun_sequence(data)))

    def flush(self) -> bytes:
        """Return the rest: the stream has ended."""
        shown = self._show(self._held, self._look(self._held), len(self._held))
        self._held, self._given = b"", 0
        return shown

    def mask(self, text: str) -> str:
        """Return a whole text with its secrets masked; leaves the stream alone."""
        if not self._sights:
            return text
        other = self.another()
        shown = other.feed(text.encode(errors="surrogateescape")) + other.flush()
        return shown.decode(errors="replace")

    def reveals(self, value: bytes) -> bool:
        """Return whether a secret stands in ``value``."""
        return bool(self._look(value).occurrences)

    def _show(self, data: bytes, seen: Seen, until: int) -> bytes:
        """Return what is new of data[:until], masked; hold what more may come of."""
        shown: list[bytes] = []
        position = self._given
        for start, end in seen.occurrences:
            if start >= until:
                break
            if start >= position:
                shown += (data[position:start], MASK)
            position = max(position, end)
        shown.append(data[position:until])
        kept = min(seen.begun, until)
        self._held = data[kept:]
        self._given = max(position, until) - kept
        return b"".join(shown)

    def _look(self, data: bytes) -> Seen:
        """Return what all sights see, in order."""
        each = [sight.look(data) for sight in self._sights]
        return Seen(
            sorted(found for seen in each for found in seen.occurrences),
            min((seen.begun for seen in each), default=len(data)),
            min((seen.shown for seen in each), default=len(data)),
        )
