"""What the shell scanner remembers of each construct it is inside."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_PARAMETER = re.compile(
    r"\$\{[!#]?(?:[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-])(?:\[[^\]{]*\])?", re.ASCII
)
_BRACKET = re.compile(r"[()]")
_ENDS_WORD = " \t\r\n;&|()<>"


@dataclass(slots=True)
class HereDocument:
    """A here-document whose body has not begun yet."""

    delimiter: str
    quoted: bool
    strip_tabs: bool


@dataclass(slots=True)
class Case:
    """A ``case`` that is open: before its ``in``, in a pattern, or in a body."""

    state: str = "subject"
    started: bool = False
    depth: int = 0


@dataclass(slots=True)
class Frame:
    """One construct: code, double quotes, ``${...}``, arithmetic, or a here-document's body.

    It reaches to ``end`` at most; ``resume`` is where scanning continues after a construct whose
    end was found beforehand.
    """

    kind: str
    end: int
    resume: int | None = None
    depth: int = 0
    at_word: bool = True
    at_command: bool = True
    quoted: bool = False
    takes_quotes: bool = True
    in_arithmetic: bool = False
    in_pair: bool = False
    cases: list[Case] = field(default_factory=list)
    pending: list[HereDocument] = field(default_factory=list)


def parameter_frame(text: str, position: int, parent: Frame, *, quoted: bool) -> Frame:
    """Return the frame of the ``${`` at ``position``.

    Inside double quotes single quotes are plain characters in ``${x:-'...'}``, but not after the
    operators that take a pattern. Subscripts and offsets are arithmetic.
    """
    match = _PARAMETER.match(text, position)
    rest = text[match.end() : match.end() + 2] if match else ""
    pattern = rest[:1] in {"#", "%", "/", "^", ","}
    offset = rest[:1] == "[" or (rest[:1] == ":" and rest[1:] not in {"-", "=", "+", "?"})
    return Frame(
        "parameter",
        parent.end,
        quoted=quoted,
        takes_quotes=pattern or not quoted,
        in_arithmetic=bool(match) and offset,
    )


def matching_brackets(text: str) -> dict[int, int]:
    """Return where each ``(`` closes, by counting brackets alone."""
    opened: list[int] = []
    pairs: dict[int, int] = {}
    for match in _BRACKET.finditer(text):
        if match.group() == "(":
            opened.append(match.start())
        elif opened:
            pairs[opened.pop()] = match.start()
    return pairs


def read_delimiter(text: str, position: int, end: int) -> tuple[str, bool, int]:
    """Return the delimiter after ``<<``, whether any of it is quoted, and where it ends."""
    while position < end and text[position] in " \t":
        position += 1
    word, quoted = "", False
    while position < end and text[position] not in _ENDS_WORD:
        char = text[position]
        position += 1
        if char in "'\"":
            close = text.find(char, position, end)
            close = end if close < 0 else close
            word, quoted, position = word + text[position:close], True, close + 1
        elif char == "\\":
            word, quoted, position = word + text[position : position + 1], True, position + 1
        else:
            word += char
    return word, quoted, min(position, end)


def here_document_end(text: str, start: int, end: int, document: HereDocument) -> tuple[int, int]:
    """Return where the body that begins at ``start`` ends, and where the line behind it begins."""
    position, begun, logical = start, start, ""
    while position < end:
        newline = text.find("\n", position, end)
        line_end = end if newline < 0 else newline
        line = text[position:line_end]
        position = line_end + 1
        if not document.quoted and newline >= 0 and _continues(line):
            logical += line[:-1]
            continue
        logical += line
        if (logical.lstrip("\t") if document.strip_tabs else logical) == document.delimiter:
            return begun, min(position, end)
        begun, logical = position, ""
    return end, end


def _continues(line: str) -> bool:
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1
