"""The half of the reader that reads single values: words, texts, numbers and durations."""

from __future__ import annotations

import re
from typing import Any, Final

from belts.spec.durations import PATTERN as DURATION_PATTERN
from belts.spec.durations import format_duration, parse_duration
from belts.spec.kinds import Choice, Decimal, Duration, Kind, Text, Whole, Word
from belts.spec.limits import PROBLEMS
from belts.spec.names import did_you_mean, listed, quoted
from belts.spec.nodes import Mapping, Mark, Node, Scalar, Sequence
from belts.spec.problems import Problem
from belts.spec.syntax import QUOTE_IT

WHOLE = re.compile(r"-?[0-9]{1,12}", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?", re.ASCII)

A_TEXT = "a text"
A_COMMAND = "a text with commands"


class _Nothing:
    """What is read from a value that cannot be used."""


NOTHING: Final = _Nothing()


class WordReader:
    """Reads single values, with the marks and problems that all reading shares.

    ``keys`` has the marks of the keys of free mappings. ``unread`` are the paths of keys that are
    there and could not be read, or that a misspelt one was probably meant to be.
    """

    def __init__(self, lines: list[str]) -> None:
        """Take the lines of the text, none when there is no text."""
        self.lines = lines
        self.problems: list[Problem] = []
        self.marks: dict[str, Mark] = {}
        self.keys: dict[str, Mark] = {}
        self.unread: set[str] = set()

    def read(self, kind: Kind, node: Node, path: str) -> Any:
        """Return the value at ``path``: text, number, list or dict by kind, or NOTHING."""
        if node.mark is not None:
            self.marks[path] = node.mark
        if isinstance(node, Scalar) and node.refused:
            return NOTHING
        method = getattr(self, f"_{type(kind).__name__.lower()}")
        return method(kind, node, path)

    def report(
        self, code: str, path: str, message: str, hint: str = "", *, key: bool = False
    ) -> Any:
        """Record an error at ``path`` unless there are plenty already; return NOTHING.

        With ``key`` the line and column are those of the key instead of its value.
        """
        if self.is_full:
            return NOTHING
        mark = (self.keys.get(path) if key else None) or self.marks.get(path)
        line, column = (mark.line, mark.column) if mark else (None, None)
        self.problems.append(Problem(code, "error", message, hint, path, line, column))
        return NOTHING

    @property
    def is_full(self) -> bool:
        """Whether the file has more problems than are shown, so that hints would only cost time."""
        return len(self.problems) >= PROBLEMS

    def _scalar(self, node: Node, path: str, wanted: str) -> Scalar | None:
        if isinstance(node, Scalar) and not node.is_null:
            return None if node.refused else node
        self._wrong_type(node, path, wanted)
        return None

    def _wrong_type(self, node: Node, path: str, wanted: str, hint: str = "") -> Any:
        kinds = {Scalar: "no value", Sequence: "a list", Mapping: "a mapping"}
        found = kinds[type(node)]
        if isinstance(node, Scalar) and not node.is_null:
            found = f"the text {quoted(node.text)}"
        hint = hint or _way_out(node, wanted)
        return self.report("value.wrong-type", path, f"Expected {wanted}, found {found}.", hint)

    def _word(self, kind: Word, node: Node, path: str) -> Any:
        scalar = self._scalar(node, path, kind.noun)
        if scalar is None:
            return NOTHING
        if len(scalar.text) > kind.longest:
            message = (
                f"The text has {len(scalar.text):,} characters; the limit is {kind.longest:,}."
            )
            return self.report("value.too-long", path, message)
        if re.fullmatch(kind.pattern, scalar.text):
            return scalar.text
        message = f"{quoted(scalar.text)} is not {kind.noun}."
        hint = f"{kind.rule} Example: {kind.example}".lstrip()
        return self.report("value.malformed", path, message, hint)

    def _text(self, kind: Text, node: Node, path: str) -> Any:
        scalar = self._scalar(node, path, A_TEXT)
        if scalar is None:
            return NOTHING
        size = len(scalar.text.encode("utf-8", "replace"))
        if size > kind.longest_bytes:
            message = f"The text has {size:,} bytes; the limit is {kind.longest_bytes:,}."
            return self.report("value.too-long", path, message)
        return scalar.text

    def _choice(self, kind: Choice, node: Node, path: str) -> Any:
        scalar = self._scalar(node, path, f"one of {listed(kind.words)}")
        if scalar is None or scalar.text in kind.words:
            return NOTHING if scalar is None else scalar.text
        message = f"{quoted(scalar.text)} is not allowed here."
        hint = did_you_mean(scalar.text, kind.words, what="choices")
        return self.report("value.not-allowed", path, message, hint)

    def _whole(self, kind: Whole, node: Node, path: str) -> Any:
        return self._number(kind, node, path, "a whole number")

    def _decimal(self, kind: Decimal, node: Node, path: str) -> Any:
        return self._number(kind, node, path, "a number")

    def _number(self, kind: Whole | Decimal, node: Node, path: str, wanted: str) -> Any:
        scalar = self._scalar(node, path, wanted)
        if scalar is None:
            return NOTHING
        pattern = WHOLE if isinstance(kind, Whole) else _DECIMAL
        if not scalar.plain or not pattern.fullmatch(scalar.text):
            hint = "Write it without quotes." if pattern.fullmatch(scalar.text) else ""
            return self._wrong_type(node, path, wanted, hint)
        number = int(scalar.text) if isinstance(kind, Whole) else float(scalar.text)
        if kind.least <= number <= kind.most:
            return number
        message = f"{scalar.text} is out of range. The range is {kind.least} to {kind.most}."
        return self.report("value.not-allowed", path, message)

    def _duration(self, kind: Duration, node: Node, path: str) -> Any:
        scalar = self._scalar(node, path, "a duration such as 10m")
        if scalar is None:
            return NOTHING
        seconds = parse_duration(scalar.text)
        if seconds is None or not re.fullmatch(DURATION_PATTERN, scalar.text):
            message = f"{quoted(scalar.text)} is not a duration."
            hint = "Write a number of seconds, or a duration such as 30s, 10m or 1h30m."
            return self.report("value.malformed", path, message, hint)
        if kind.least_s <= seconds <= kind.most_s:
            return seconds
        least, most = format_duration(kind.least_s), format_duration(kind.most_s)
        message = f"{scalar.text} is out of range. The range is {least} to {most}."
        return self.report("value.bad-duration", path, message)


def _way_out(node: Node, wanted: str) -> str:
    """Return the hint for a value that YAML took for something else than a text."""
    if isinstance(node, Scalar) and wanted == A_TEXT:
        return "Write '' for an empty text."
    if isinstance(node, Scalar) and wanted == A_COMMAND and not node.text:
        return "Write a command after the dash, or remove the dash."
    if wanted == A_COMMAND:
        return QUOTE_IT
    return "Quote it, so that it is a text." if wanted == A_TEXT else ""
