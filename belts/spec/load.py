"""From text to a tree with marks, within limits.

PyYAML's Python scanner and parser are used without its composer and constructor: they work off
an explicit stack, so no nesting can exhaust the process's own, which kills the C parser (measured:
50,000 levels). Counting their events stops a bomb before a tree exists.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    StreamEndEvent,
    StreamStartEvent,
)
from yaml.tokens import ScalarToken

from belts.spec.limits import DEPTH, FILE_BYTES, NODES, PROBLEMS
from belts.spec.lines import Places, lines_of, with_stand_ins
from belts.spec.names import quoted
from belts.spec.nodes import Mapping, Mark, Node, Scalar, Sequence, bad_character, joined_halves
from belts.spec.problems import Problem
from belts.spec.syntax import QUOTE_IT, Progress, explain

_BAD_KEY = "Write a word as the key."
_IF_A_TEXT = f"If it is meant as a text: {QUOTE_IT[:1].lower()}{QUOTE_IT[1:]}"
_SHARE = "To share keys between jobs, use the `defaults` of a belt."


@dataclass(slots=True)
class Loaded:
    """A text as it was read: its tree (None if it has none), its lines and its problems."""

    root: Node | None = None
    lines: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def load(text: str | bytes) -> Loaded:
    """Return the tree of a belt file's text, with every problem of its form."""
    decoded = _decode(text)
    if isinstance(decoded, Problem):
        return Loaded(problems=[decoded])
    composer = _Composer(decoded)
    root = composer.run()
    return Loaded(root, composer.lines, composer.problems)


def _decode(text: str | bytes) -> str | Problem:
    size = len(text) if isinstance(text, bytes) else len(text.encode("utf-8", "surrogatepass"))
    if size > FILE_BYTES:
        return Problem(
            "file.too-large",
            "error",
            f"The file has {size:,} bytes; the limit is {FILE_BYTES:,}.",
            hint="Move long scripts into files of the repository and call them.",
        )
    if isinstance(text, str):
        return text.removeprefix("\ufeff")
    try:
        return text.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = text[: error.start].decode("utf-8").removeprefix("\ufeff")
        mark = Places(before).mark(len(before))
        return Problem(
            "file.not-utf8",
            "error",
            f"The file is not UTF-8: byte {error.start + 1} is 0x{text[error.start]:02x}.",
            hint="Save the file as UTF-8.",
            line=mark.line,
            column=mark.column,
        )


class _StopLoading(Exception):  # noqa: N818 - control flow, not an error of its own
    """The rest of the file cannot be read."""


class _Composer:
    """Builds the tree of one document from the parser's events."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = lines_of(text)
        self.places = Places(text)
        self.problems: list[Problem] = []
        self.loader: yaml.SafeLoader | None = None
        self.real_characters: dict[int, str] = {}
        self.peeked: Event | None = None
        self.last: Event | None = None
        self.depth = 0
        self.nodes = 0

    def run(self) -> Node | None:
        """Return the tree, or None when reading stopped early or the file is empty."""
        try:
            return self._document()
        except yaml.reader.ReaderError as error:
            self._bad_character(error)
        except yaml.MarkedYAMLError as error:
            self._bad_syntax(error)
        except (ValueError, OverflowError):  # PyYAML's chr() and int() of absurd escapes
            self._absurd_number()
        except _StopLoading:
            pass
        return None

    def _document(self) -> Node | None:
        text, self.real_characters = with_stand_ins(self.text)
        self.loader = yaml.SafeLoader(text)
        self._skip(StreamStartEvent)
        if isinstance(self._peek(), StreamEndEvent):
            return None
        self._skip(DocumentStartEvent)
        root = self._node()
        self._skip(DocumentEndEvent)
        following = self._next()
        if isinstance(following, DocumentStartEvent):
            self._report(
                "file.several-documents",
                "The file has more than one YAML document.",
                self._mark(following),
                "Write one product in each file, and remove the line `---`.",
            )
        return root

    def _next(self) -> Event:
        event, self.peeked = self._peek(), None
        return event

    def _peek(self) -> Event:
        if self.peeked is None:
            if self.loader is None:
                raise TypeError("Events are read from a loader.")
            self.peeked = self.last = self.loader.get_event()  # type: ignore[no-untyped-call]  # no stub
        return self.peeked

    def _skip(self, kind: type[Event]) -> None:
        event = self._next()
        if not isinstance(event, kind):
            raise TypeError(f"The YAML parser gave {event} for {kind.__name__}.")

    def _node(self) -> Node:
        event = self._next()
        self._count(event)
        if isinstance(event, AliasEvent):
            self._refuse_alias(event)
            return Scalar("", mark=self._mark(event), refused=True)
        self._refuse_decorations(event)
        if isinstance(event, ScalarEvent):
            return self._scalar(event)
        self.depth += 1
        if self.depth > DEPTH:
            self._stop("file.too-deep", f"The nesting is deeper than {DEPTH} levels.", event)
        mapping = isinstance(event, MappingStartEvent)
        node = self._mapping(event) if mapping else self._sequence(event)
        self.depth -= 1
        return node

    def _count(self, event: Event) -> None:
        self.nodes += 1
        if self.nodes > NODES:
            self._stop(
                "file.too-many-nodes", f"The file has more than {NODES:,} keys and values.", event
            )
        if len(self.problems) >= PROBLEMS:
            raise _StopLoading

    def _scalar(self, event: ScalarEvent) -> Scalar:
        mark = self._mark(event)
        value = joined_halves(event.value.translate(self.real_characters))
        if found := bad_character(value):
            hint = "Remove it." if found == "NUL" else "Remove it, or write the whole character."
            self._report("file.bad-character", f"The text contains {found}.", mark, hint)
        # Nothing but a tag or an anchor, as "!x" or "&x" before a line's end.
        refused = not event.value and not event.style and bool(event.tag or event.anchor)
        return Scalar(value, not event.style, mark, event.style == "|", refused)

    def _sequence(self, event: Event) -> Sequence:
        items = []
        while not isinstance(self._peek(), CollectionEndEvent):
            items.append(self._node())
        self._next()
        return Sequence(tuple(items), self._mark(event))

    def _mapping(self, event: Event) -> Mapping:
        pairs: dict[str, tuple[Scalar, Node]] = {}
        while not isinstance(self._peek(), CollectionEndEvent):
            key, value = self._node(), self._node()
            if isinstance(key, Scalar):
                self._add(pairs, key, value)
            else:
                self._report("file.bad-key", "The key is a list or a mapping.", key.mark, _BAD_KEY)
        self._next()
        return Mapping(tuple(pairs.values()), self._mark(event))

    def _add(self, pairs: dict[str, tuple[Scalar, Node]], key: Scalar, value: Node) -> None:
        earlier = pairs.get(key.text)
        if earlier is None:
            pairs[key.text] = (key, value)
            return
        first = earlier[0].mark
        self._report(
            "file.duplicate-key",
            f"The key {quoted(key.text)} is written twice."
            + (f" The first is in line {first.line}." if first else ""),
            key.mark,
            "Remove one of them.",
        )

    def _refuse_alias(self, event: AliasEvent) -> None:
        self._report(
            "file.alias",
            f"{quoted(f'*{event.anchor}')} is an alias. Aliases are not supported.",
            self._mark(event),
            f"{_IF_A_TEXT} {_SHARE}",
        )

    def _refuse_decorations(self, event: Event) -> None:
        if not isinstance(event, ScalarEvent | CollectionStartEvent):
            return
        if event.anchor is not None:
            self._report(
                "file.alias",
                f"{quoted(f'&{event.anchor}')} is an anchor. Anchors are not supported.",
                self._mark(event),
                f"{_IF_A_TEXT} {_SHARE}",
            )
        if event.tag is not None:
            self._report(
                "file.tag",
                f"{quoted(event.tag)} is a tag of YAML. Tags are not supported.",
                self._mark(event),
                f"Remove the tag. {_IF_A_TEXT}",
            )

    def _bad_character(self, error: yaml.reader.ReaderError) -> None:
        mark = self.places.mark(error.position)
        number = ord(error.character) if isinstance(error.character, str) else error.character
        self._report(
            "file.bad-character",
            f"The character U+{number:04X} is not allowed in a YAML file.",
            mark,
            "Remove it, or write it as an escape in a text in double quotes.",
        )

    def _bad_syntax(self, error: yaml.MarkedYAMLError) -> None:
        found = explain(error, self.text, self._progress())
        self._report("file.syntax", found.message, found.mark, found.hint)

    def _progress(self) -> Progress:
        if self.loader is None:
            return Progress()
        opened = [mark.index for mark in self.loader.marks]
        # The last text was handed on by the parser, or waits to become a key.
        for each in (*reversed(self.loader.tokens), self.last):
            if not isinstance(each, ScalarToken | ScalarEvent) or each.style not in ("'", '"'):
                continue
            if each.start_mark and each.end_mark:
                return Progress(opened, (each.start_mark.index, each.end_mark.index))
        return Progress(opened)

    def _absurd_number(self) -> None:
        index = self.loader.get_mark().index if self.loader else 0
        self._report(
            "file.syntax",
            "The number of an escape or directive is too large here.",
            self.places.mark(index),
            "Write \\\\ for a backslash, or put the text in single quotes.",
        )

    def _mark(self, event: Event) -> Mark | None:
        return self.places.mark(event.start_mark.index) if event.start_mark else None

    def _stop(self, code: str, message: str, event: Event) -> None:
        self._report(code, message, self._mark(event))
        raise _StopLoading

    def _report(self, code: str, message: str, mark: Mark | None, hint: str = "") -> None:
        line, column = (mark.line, mark.column) if mark else (None, None)
        self.problems.append(Problem(code, "error", message, hint, line=line, column=column))
