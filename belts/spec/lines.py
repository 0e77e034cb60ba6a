"""Lines as editors count them: they end with a newline, CRLF or CR, and with nothing else."""

from __future__ import annotations

import re
from bisect import bisect_right

from belts.spec.nodes import Mark

_LINE_END = re.compile(r"\r\n|\r|\n")
# YAML 1.1 takes these for line ends as well. YAML 1.2 and editors do not.
_YAML_LINE_ENDS = "\x85\u2028\u2029"
_PRIVATE = range(0xF0000, 0xF0400)


def lines_of(text: str) -> list[str]:
    """Return the lines of the text, without their ends."""
    lines = _LINE_END.split(text)
    return lines if lines[-1] else lines[:-1]


class Places:
    """Line and column of each character of a text."""

    def __init__(self, text: str) -> None:
        """Take the text, whose lines are found once."""
        self._starts = [0, *(match.end() for match in _LINE_END.finditer(text))]

    def mark(self, index: int) -> Mark:
        """Return the place of the character at ``index``, counted from 0."""
        line = bisect_right(self._starts, index)
        return Mark(line, index - self._starts[line - 1] + 1)


def with_stand_ins(text: str) -> tuple[str, dict[int, str]]:
    """Return the text with other characters for those that only YAML 1.1 takes for line ends.

    The table turns them back, for ``str.translate``. The stand-ins are characters that the text
    neither has nor could write as an escape.
    """
    found = [char for char in _YAML_LINE_ENDS if char in text]
    if not found:
        return text, {}
    folded = text.lower()
    free = (code for code in _PRIVATE if chr(code) not in text and f"{code:x}" not in folded)
    pairs = list(zip(found, free, strict=False))
    there = {ord(char): chr(code) for char, code in pairs}
    return text.translate(there), {code: char for char, code in pairs}
