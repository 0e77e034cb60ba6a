"""The tree that the parser reads: words, lists and mappings with their places in the file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass
from typing import TypeAlias

from belts.spec.limits import DEPTH, FILE_BYTES, NODES

_NULL_WORDS = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True)
class Mark:
    """Where something begins, counted from 1.

    For a script ``rows`` has line and column of each of its lines.
    """

    line: int
    column: int
    rows: tuple[tuple[int, int], ...] = ()

    def at(self, row: int, column: int) -> tuple[int, int]:
        """Return line and column in the file of a place in the script, counted from 0."""
        if row < len(self.rows):
            line, first_column = self.rows[row]
            return line, first_column + column
        return self.line, self.column


@dataclass(frozen=True, slots=True)
class Scalar:
    """A word as written; ``plain`` unless it was quoted or a block.

    A ``refused`` one stands for a value that is not read, such as an alias. Its problem was
    reported.
    """

    text: str
    plain: bool = True
    mark: Mark | None = None
    block: bool = False
    refused: bool = False

    @property
    def is_null(self) -> bool:
        """Whether nothing was written, or YAML's word for nothing."""
        return self.plain and self.text in _NULL_WORDS and not self.refused


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    items: tuple[Node, ...]
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys with their values, in the order of the file; no key twice."""

    pairs: tuple[tuple[Scalar, Node], ...]
    mark: Mark | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The keys in order."""
        return tuple(key.text for key, _ in self.pairs)

    def get(self, name: str) -> Node | None:
        """Return the value of a key, None where it is absent."""
        return next((value for key, value in self.pairs if key.text == name), None)


Node: TypeAlias = Scalar | Sequence | Mapping


class UnreadableDataError(ValueError):
    """Plain data that no YAML file could have held; ``code`` and the sentence are a problem's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def bad_character(text: str) -> str:
    """Return what the text has that no database or shell takes, such as "NUL"; else nothing."""
    if "\0" in text:
        return "NUL"
    half = next((char for char in text if "\ud800" <= char <= "\udfff"), None)
    return f"half of a character (the surrogate U+{ord(half):04X})" if half else ""


def joined_halves(text: str) -> str:
    """Return the text with each pair of surrogates as the one character that JSON means by it."""
    if not any("\ud800" <= char <= "\udfff" for char in text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def node_of(data: object) -> Node:
    """Return the tree of plain data: mappings, lists, text, numbers, booleans and None.

    Raises UnreadableDataError beyond the limits of a file, and for anything else.
    """
    return _Builder().node(data, DEPTH)


class _Builder:
    def __init__(self) -> None:
        self.nodes = NODES
        self.characters = FILE_BYTES

    def node(self, data: object, depth: int) -> Node:
        self.nodes -= 1
        if self.nodes < 0:
            raise UnreadableDataError(
                "file.too-many-nodes", f"There are more than {NODES:,} keys and values."
            )
        if depth < 0:
            raise UnreadableDataError("file.too-deep", f"The nesting is deeper than {DEPTH}.")
        if isinstance(data, AnyMapping):
            return Mapping(tuple((self.key(key), self.node(data[key], depth - 1)) for key in data))
        if isinstance(data, list | tuple):
            return Sequence(tuple(self.node(item, depth - 1) for item in data))
        return self.scalar(data)

    def key(self, key: object) -> Scalar:
        if not isinstance(key, str):
            raise UnreadableDataError("file.bad-key", f"The key {str(key)[:60]} is not text.")
        return self.text(key, plain=False)

    def scalar(self, data: object) -> Scalar:
        if data is None:
            return Scalar("")
        if isinstance(data, str):
            return self.text(data, plain=False)
        if isinstance(data, int) or (isinstance(data, float) and math.isfinite(data)):
            return self.text(_digits(data), plain=True)
        raise UnreadableDataError(
            "value.wrong-type", f"A value of type {type(data).__name__} cannot stand here."
        )

    def text(self, text: str, *, plain: bool) -> Scalar:
        self.characters -= len(text)
        if self.characters < 0:
            raise UnreadableDataError(
                "file.too-large", f"The texts are longer than {FILE_BYTES // 1024} KiB together."
            )
        if found := bad_character(text):
            raise UnreadableDataError("file.bad-character", f"A text contains {found}.")
        return Scalar(text, plain)


def _digits(data: float) -> str:
    try:
        return json.dumps(data)
    except ValueError as error:  # an integer of thousands of digits
        raise UnreadableDataError("value.malformed", "A number is too long.") from error
