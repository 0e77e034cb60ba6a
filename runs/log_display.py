"""Converts the bytes of a log to pieces of text that are safe to show.

Colours (SGR) become class names; every other escape sequence is dropped: no link, no cursor, no
title. Control characters and marks of text direction are shown as escapes.
The sequences: https://ecma-international.org/publications-and-standards/standards/ecma-48/
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

#: A sequence that is longer than this is none: its first character is shown as an escape.
_LONGEST_SEQUENCE = 4096
_SEQUENCE = re.compile(
    r"\x1b\[(?P<sgr>[0-9;:]*)m"
    r"|\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
    r"|\x1b[PX^_][^\x1b]*\x1b\\"
    r"|\x1b[ -/]*[0-OQ-WYZ\\`-~]"
)
_BEGUN = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*\x1b?|[PX^_][^\x1b]*\x1b?|[ -/]*)\Z|\r\Z")
_LINE_END = re.compile(r"\r\n?")
# Control characters but for tab and newline; marks and overrides of direction; line separators.
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")

_ON = {1: "bold", 2: "dim", 3: "italic", 4: "underline"}
_OFF = {22: ("bold", "dim"), 23: ("italic",), 24: ("underline",)}


@dataclass(frozen=True, slots=True)
class Piece:
    """Text with the class names that it is shown with, parted by spaces; often none."""

    classes: str
    text: str


class LogDisplay:
    """Turns what one stream of a log says, bit by bit, into pieces.

    Characters and sequences may be cut anywhere between two calls.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._rest = ""
        self._style: dict[str, str] = {}

    def feed(self, data: bytes) -> list[Piece]:
        """Return the pieces that ``data`` completes."""
        text = self._rest + self._decoder.decode(data)
        begun = _BEGUN.search(text)
        if begun and len(text) - begun.start() <= _LONGEST_SEQUENCE:
            text, self._rest = text[: begun.start()], text[begun.start() :]
        else:
            self._rest = ""
        return [piece for piece in self._pieces(text) if piece.text]

    def finish(self) -> list[Piece]:
        """Return what is left of a log that has ended."""
        text, self._rest = self._rest + self._decoder.decode(b"", final=True), ""
        return [piece for piece in self._pieces(text) if piece.text]

    def _pieces(self, text: str) -> Iterator[Piece]:
        position = 0
        for match in _SEQUENCE.finditer(text):
            yield self._piece(text[position : match.start()])
            if match["sgr"] is not None:
                self._set_style(match["sgr"])
            position = match.end()
        yield self._piece(text[position:])

    def _piece(self, text: str) -> Piece:
        shown = _HIDDEN.sub(_escaped, _LINE_END.sub("\n", text))
        return Piece(" ".join(self._style.values()), shown)

    def _set_style(self, parameters: str) -> None:
        numbers = [int(each or 0) for each in re.split("[;:]", parameters) if len(each) < 5]
        while numbers:
            number = numbers.pop(0)
            if number in (38, 48):
                self._set_extended("fg" if number == 38 else "bg", numbers)
            else:
                self._set_one(number)

    def _set_one(self, number: int) -> None:
        if number == 0:
            self._style.clear()
        elif number in _ON:
            self._style[_ON[number]] = f"sgr-{_ON[number]}"
        elif number in _OFF:
            for name in _OFF[number]:
                self._style.pop(name, None)
        else:
            self._set_colour(number)

    def _set_colour(self, number: int) -> None:
        ground = "fg" if number // 10 in (3, 9) else "bg"
        if number in (39, 49):
            self._style.pop(ground, None)
        elif 30 <= number <= 37 or 40 <= number <= 47:
            self._style[ground] = f"sgr-{ground}-{number % 10}"
        elif 90 <= number <= 97 or 100 <= number <= 107:
            self._style[ground] = f"sgr-{ground}-{number % 10 + 8}"

    def _set_extended(self, ground: str, numbers: list[int]) -> None:
        """Take the arguments of an extended colour; only the first 16 have a class."""
        kind = numbers.pop(0) if numbers else 0
        taken = [numbers.pop(0) for _ in range({5: 1, 2: 3}.get(kind, 0)) if numbers]
        self._style.pop(ground, None)
        if kind == 5 and taken and taken[0] < 16:
            self._style[ground] = f"sgr-{ground}-{taken[0]}"


def _escaped(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
