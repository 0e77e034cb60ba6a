"""The kinds of value that a belt file has: words to describe its keys with.

``belts.spec.keys`` describes the file in these words; ``belts.spec.read`` reads a file after the
description, and ``belts.spec.schema`` writes the description down as JSON Schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Word:
    """One line of text of a given form; ``noun`` names it, such as "a name".

    ``rule`` is a sentence about the characters that it may have.
    """

    pattern: str
    noun: str
    example: str
    longest: int
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """Any text; numbers and booleans count as the text that they are written as."""

    longest_bytes: int
    empty: bool = True


@dataclass(frozen=True, slots=True)
class Script:
    """The text of a script, or a list of texts that are its lines."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number."""

    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Decimal:
    """A number with or without a fraction."""

    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Duration:
    """A time span; becomes seconds."""

    least_s: int
    most_s: int


@dataclass(frozen=True, slots=True)
class WholeOr:
    """A whole number or another kind."""

    whole: Whole
    other: Choice | Record


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list; with ``single``, one entry may stand alone. ``example`` is such a list, as YAML."""

    entry: Kind
    most: int
    single: bool = False
    least: int = 0
    unique: bool = False
    example: str = ""


@dataclass(frozen=True, slots=True)
class MapOf:
    """A mapping with free keys."""

    key: Word
    value: Text
    most: int


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a record; with ``null``, no value counts as absent."""

    name: str
    kind: Kind
    about: str
    required: bool = False
    null: bool = True


@dataclass(frozen=True, slots=True)
class Record:
    """A mapping with known keys; ``elsewhere`` says where a misplaced key belongs."""

    noun: str
    keys: tuple[Key, ...]
    elsewhere: tuple[tuple[str, str], ...] = ()

    def key(self, name: str) -> Key | None:
        """Return the key of that name."""
        return next((key for key in self.keys if key.name == name), None)


@dataclass(frozen=True, slots=True)
class WordOrRecord:
    """A word, or a mapping with known keys."""

    word: Word
    record: Record


@dataclass(frozen=True, slots=True)
class Tagged:
    """A word; a mapping of one tag to a word; or a record, known by having one of its keys."""

    word: Word
    tags: tuple[str, ...]
    record: Record


@dataclass(frozen=True, slots=True)
class Marked:
    """A mapping with exactly one marker, whose keys stand below it or beside it."""

    noun: str
    markers: tuple[tuple[str, Record], ...]


Kind: TypeAlias = (
    Word
    | Text
    | Script
    | Choice
    | Whole
    | Decimal
    | Duration
    | WholeOr
    | ListOf
    | MapOf
    | Record
    | WordOrRecord
    | Tagged
    | Marked
)
