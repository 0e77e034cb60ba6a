"""Where secrets stand in bytes, also with things between their own that readers do not see.

A sight is one way of looking: the bytes without certain gaps in them. What stands there is found
as fast as in the bytes themselves; only then are the places of the gaps worked out.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# What terminals and the pages make colours of, or drop; longer ones are shown as they are.
_SEQUENCE = rb"\x1b(?:\[[0-?]{0,64}[ -/]{0,4}[@-~]|[ -/]{1,4}[0-~])"
_SEQUENCES = re.compile(_SEQUENCE)
_LONGEST_SEQUENCE = 70
_BEGUN = re.compile(rb"\x1b(?:\[[0-?]{0,64}[ -/]{0,4}|[ -/]{0,4})\Z")
_BLANKS = b" \t\r\n"
# So many first bytes of a form are looked up, where the bytes end in no more of it than these.
_HEAD = 8


def begun_sequence(data: bytes) -> int:
    """Return where the sequence begins that the end of ``data`` cuts; its length if none."""
    start = data.rfind(b"\x1b", -_LONGEST_SEQUENCE)
    return start if start >= 0 and _BEGUN.match(data, start) else len(data)


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen in some bytes: (start, end) of every occurrence, overlapping ones too.

    The end of the bytes from ``begun`` on may grow into further ones, whose masks would begin at
    ``shown`` or later.
    """

    occurrences: list[tuple[int, int]]
    begun: int
    shown: int


class Sight:
    """Forms of secrets, found in bytes as they are."""

    gap: re.Pattern[bytes] | None = None
    #: Whether the first byte of a form is masked also where a gap parts it from the rest.
    masks_parted = True

    def __init__(self, forms: Iterable[bytes]) -> None:
        self.forms = tuple(forms)
        # The longest form that begins so; it is the one that the most gaps may stand in.
        self._heads: dict[bytes, int] = {}
        for form in self.forms:
            for length in range(1, min(_HEAD, len(form))):
                head = form[:length]
                self._heads[head] = max(self._heads.get(head, 0), len(form))

    def text_of(self, data: bytes) -> bytes:
        """Return what is left of ``data`` without the gaps."""
        return data

    def look(self, data: bytes) -> Seen:
        """Return what stands in ``data``, and what its end may be the beginning of."""
        text = self.text_of(data)
        begun = shown = len(data)
        longest = 0
        for count, length in self._begun_in(text):
            # A shorter end is within a longer one.
            place = self._place_of_end(data, text, count, length) if count > longest else None
            if place is not None:
                longest, (begun, shown) = count, place
        return Seen(self._occurrences(data, text), begun, shown)

    def _occurrences(self, data: bytes, text: bytes) -> list[tuple[int, int]]:
        found = list(self._found_in(text))
        if not found or len(text) == len(data):
            return found
        places = _Places(data, self.gap)
        spans = []
        for index, end in found:
            first, start = self._span(places, index)
            stop = places.of(end - 1) + 1
            if stop - first <= _widest(end - index):
                spans.append((start, stop))
        return spans

    def _found_in(self, text: bytes) -> Iterator[tuple[int, int]]:
        # One search per form is faster than one regular expression of them all: the search skips.
        for form in self.forms:
            start = text.find(form)
            while start >= 0:
                yield start, start + len(form)
                start = text.find(form, start + 1)

    def _begun_in(self, text: bytes) -> Iterator[tuple[int, int]]:
        """Yield how many bytes at the end begin a form, and how long that form is."""
        for form in self.forms:
            start = text.find(form[:_HEAD], max(0, len(text) - len(form) + 1))
            while start >= 0:
                if form.startswith(text[start:]):
                    yield len(text) - start, len(form)
                start = text.find(form[:_HEAD], start + 1)
        for count in range(min(_HEAD - 1, len(text)), 0, -1):
            length = self._heads.get(text[-count:])
            if length is not None:
                yield count, length

    def _place_of_end(
        self, data: bytes, text: bytes, count: int, length: int
    ) -> tuple[int, int] | None:
        """Return where the last ``count`` bytes of the text begin, and where their mask would.

        None for what is too wide already to become an occurrence of ``length`` bytes.
        """
        if len(text) == len(data):
            return len(data) - count, len(data) - count
        # Gaps further back than this make an occurrence too wide.
        cut = max(0, len(data) - _widest(length) - _LONGEST_SEQUENCE)
        places = _Places(data[cut:], self.gap)
        index = len(self.text_of(data[cut:])) - count
        if index < 0:
            return None
        first, start = self._span(places, index)
        fits = len(data) - cut - first - count + length <= _widest(length)
        return (cut + first, cut + start) if fits else None

    def _span(self, places: _Places, index: int) -> tuple[int, int]:
        """Return where a form begins, and where its mask does."""
        first = places.of(index)
        second = places.of(index + 1)
        return first, first if self.masks_parted or second == first + 1 else second


class ColouredSight(Sight):
    """Forms that may have colour codes and other sequences of a terminal in them."""

    gap = re.compile(rb"(?:" + _SEQUENCE + rb")+")

    def text_of(self, data: bytes) -> bytes:
        """Return ``data`` without sequences, also without one that its end cuts."""
        if b"\x1b" not in data:
            return data
        return _SEQUENCES.sub(b"", data[: begun_sequence(data)])


class WrappedSight(ColouredSight):
    """Forms that programs break into lines, indent, or write with blanks between.

    Nearly every line ends in a byte that a form begins with. So that lines are not shown without
    their ends until there are more, a first byte with a gap behind it is not masked.
    """

    gap = re.compile(rb"(?:[ \t\r\n]|" + _SEQUENCE + rb")+")
    masks_parted = False

    def text_of(self, data: bytes) -> bytes:
        """Return ``data`` without blanks, line ends and sequences."""
        return super().text_of(data).translate(None, _BLANKS)


def _widest(length: int) -> int:
    """Return how wide an occurrence may be with the gaps in it: it has to be held back."""
    return 3 * length + 4096


class _Places:
    """Where the bytes of a text stand in the data that had gaps."""

    def __init__(self, data: bytes, gap: re.Pattern[bytes] | None) -> None:
        self._after = [0]
        self._skipped = [0]
        for found in gap.finditer(data) if gap else ():
            skipped = self._skipped[-1]
            self._after.append(found.start() - skipped)
            self._skipped.append(skipped + found.end() - found.start())

    def of(self, index: int) -> int:
        """Return the place of the byte of the text with this index; the end for the one after."""
        return index + self._skipped[bisect_right(self._after, index) - 1]
