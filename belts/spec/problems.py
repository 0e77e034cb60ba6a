"""Problems of a belt file and how they are shown."""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import InitVar, dataclass
from typing import Any

from belts.spec.codes import CODES
from belts.spec.lines import lines_of
from belts.spec.names import visible
from products.git.logins import parted

_SHOWN_COLUMNS = 160


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a belt file; ``line`` and ``column`` count from 1 where known.

    ``severity`` is error, warning, or unsure. An unsure problem is not shown: an unreadable part of
    the file may have the missing name. ``path`` says where in the file's structure it is, such as
    ``belts[0].jobs[1].inputs[0]``.
    """

    code: str
    severity: str
    message: str
    hint: str = ""
    path: str = ""
    line: int | None = None
    column: int | None = None
    is_stored: InitVar[bool] = False

    def __post_init__(self, is_stored: bool) -> None:
        """Refuse codes that are not documented, but for problems that another version stored."""
        if self.code not in CODES and not is_stored:
            raise ValueError(f"The problem code {self.code} is not in belts.spec.codes.")

    @property
    def is_error(self) -> bool:
        """Whether the file cannot be used."""
        return self.severity == "error"

    def to_document(self) -> dict[str, Any]:
        """Return the fields by name, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Problem:
        """Return the problem that ``to_document`` or ``to_json`` wrote, in whatever version.

        A code that this version does not know is kept, and a field is left out.
        """
        names = {each.name for each in dataclasses.fields(cls)}
        known = {name: value for name, value in document.items() if name in names}
        needed = {"code": "unknown", "severity": "error", "message": ""}
        return cls(**{**needed, **known}, is_stored=True)


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return the problems without repetitions, in the order of the file."""
    unique = dict.fromkeys(problems)
    return tuple(sorted(unique, key=lambda each: (each.line or 0, each.column or 0)))


def to_json(problems: Iterable[Problem], text: str | bytes = "") -> list[dict[str, Any]]:
    """Return the problems as plain data, as the API and the database hold them.

    ``excerpt`` is the offending line of ``text``, of a long one the part around the place.
    """
    lines = _lines(text)
    return [{**each.to_document(), "excerpt": "".join(_around(each, lines))} for each in problems]


def render_text(problems: Iterable[Problem], text: str | bytes, file_name: str) -> str:
    """Return the problems for a terminal, each with the offending line and a caret below it.

    Nothing of the file reaches the terminal as a control character.
    """
    lines = _lines(text)
    return "\n".join(_render(problem, lines, visible(file_name)) for problem in problems)


def _lines(text: str | bytes) -> list[str]:
    if isinstance(text, bytes):
        text = text.decode("utf-8", errors="replace")
    return lines_of(text.removeprefix("\ufeff"))


def _render(problem: Problem, lines: list[str], file_name: str) -> str:
    place = file_name
    if problem.line is not None:
        place += f":{problem.line}:{problem.column or 1}"
    shown = [f"{place}: {problem.severity}: {visible(problem.message)} [{problem.code}]"]
    before, after = _around(problem, lines)
    if before or after:
        gutter = f"{problem.line:6} | "
        caret = " " * (len(gutter) - 2) + "| " + " " * _width(before) + "^"
        shown += [gutter + before + after, caret]
    if problem.path:
        shown.append(f"  at: {visible(problem.path)}")
    if problem.hint:
        first, *more = problem.hint.split("\n")
        shown += [f"  hint: {visible(first)}", *(f"        {visible(line)}" for line in more)]
    return "\n".join(shown) + "\n"


def _around(problem: Problem, lines: list[str]) -> tuple[str, str]:
    """Return what stands before and after the place in its line; nothing where it is not known."""
    if problem.line is None or not 0 < problem.line <= len(lines):
        return "", ""
    column = problem.column or 1
    before, after = parted(lines[problem.line - 1], column - 1)
    start = max(0, len(before) + 1 - _SHOWN_COLUMNS // 2)
    before, after = before[start:], after[: start + _SHOWN_COLUMNS - len(before)]
    return visible(before.replace("\t", "    ")), visible(after.replace("\t", "    "))


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
