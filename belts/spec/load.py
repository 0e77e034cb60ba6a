"""From text to a tree with marks, within limits.

PyYAML's Python scanner and parser are used without its composer and constructor: they work off
an explicit stack, so no nesting can exhaust the process's own, which kills the C parser (measured:
50,000 levels). Counting their events stops a bomb before a tree exists.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    NodeEvent,
    ScalarEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from belts.spec.limits import DEPTH, FILE_BYTES, NODES, PROBLEMS
from belts.spec.names import quoted
from belts.spec.nodes import Mapping, Mark, Node, Scalar, Sequence, has_bad_character
from belts.spec.problems import Problem


@dataclass(slots=True)
class Loaded:
    """What became of a text: its tree (None when there is none), its lines and the problems."""

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
            f"The file has {size:,} bytes; at most {FILE_BYTES:,} are read.",
            hint="Move long scripts into files of the repository and call them.",
        )
    if isinstance(text, str):
        return text.removeprefix("\ufeff")
    try:
        return text.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        before = text[text.rfind(b"\n", 0, error.start) + 1 : error.start]
        return Problem(
            "file.not-utf8",
            "error",
            f"The file is not UTF-8: byte {error.start + 1} is 0x{text[error.start]:02x}.",
            hint="Save it as UTF-8.",
            line=line,
            column=len(before.decode("utf-8")) + 1,
        )


class _StopLoading(Exception):  # noqa: N818 - control flow, not an error of its own
    """The rest of the file cannot be read."""


class _Composer:
    """Builds the tree of one document from the parser's events."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.splitlines()
        self.problems: list[Problem] = []
        self.events: Iterator[Event] = yaml.parse(text, Loader=yaml.SafeLoader)
        self.peeked: Event | None = None
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
            self._report("file.syntax", "An escape or number in the file is impossible.", None)
        except _StopLoading:
            pass
        return None

    def _document(self) -> Node | None:
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
                _mark(following),
                "Keep one product a file and take away the line '---'.",
            )
        return root

    def _next(self) -> Event:
        event, self.peeked = self._peek(), None
        return event

    def _peek(self) -> Event:
        if self.peeked is None:
            self.peeked = next(self.events)
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
            return Scalar("", mark=_mark(event), refused=True)
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
        mark = _mark(event)
        if has_bad_character(event.value):
            self._report("file.bad-character", "A text has a NUL or half a character.", mark)
        # Nothing but a tag or an anchor, as "!x" or "&x" before a line's end.
        refused = not event.value and not event.style and bool(event.tag or event.anchor)
        return Scalar(event.value, not event.style, mark, event.style == "|", refused)

    def _sequence(self, event: Event) -> Sequence:
        items = []
        while not isinstance(self._peek(), CollectionEndEvent):
            items.append(self._node())
        self._next()
        return Sequence(tuple(items), _mark(event))

    def _mapping(self, event: Event) -> Mapping:
        pairs: dict[str, tuple[Scalar, Node]] = {}
        while not isinstance(self._peek(), CollectionEndEvent):
            key, value = self._node(), self._node()
            if isinstance(key, Scalar):
                self._add(pairs, key, value)
            else:
                self._report("file.bad-key", "A key is a list or mapping, not a word.", key.mark)
        self._next()
        return Mapping(tuple(pairs.values()), _mark(event))

    def _add(self, pairs: dict[str, tuple[Scalar, Node]], key: Scalar, value: Node) -> None:
        earlier = pairs.get(key.text)
        if earlier is None:
            pairs[key.text] = (key, value)
            return
        first = earlier[0].mark
        self._report(
            "file.duplicate-key",
            f"The key {quoted(key.text)} stands twice"
            + (f"; the first is in line {first.line}." if first else "."),
            key.mark,
            "Take one away; YAML would silently keep only one of them.",
        )

    def _refuse_alias(self, event: AliasEvent) -> None:
        self._report(
            "file.alias",
            f"The alias {quoted(f'*{event.anchor}')} is used; anchors and aliases are not read.",
            _mark(event),
            "Write the value out, use a belt's defaults, or quote a text that begins with '*'.",
        )

    def _refuse_decorations(self, event: Event) -> None:
        if not isinstance(event, ScalarEvent | CollectionStartEvent):
            return
        if event.anchor is not None:
            self._report(
                "file.alias",
                f"The anchor {quoted(f'&{event.anchor}')} is used; anchors and aliases are not"
                " read.",
                _mark(event),
                "Write the value out, use a belt's defaults, or quote a text that begins with '&'.",
            )
        if event.tag is not None:
            self._report(
                "file.tag",
                f"The tag {quoted(event.tag)} is used; tags are not read.",
                _mark(event),
                "Take the tag away, or quote a text that begins with '!'.",
            )

    def _bad_character(self, error: yaml.reader.ReaderError) -> None:
        before = self.text[: error.position]
        line = before.count("\n") + 1
        mark = Mark(line, len(before) - (before.rfind("\n") + 1) + 1)
        number = ord(error.character) if isinstance(error.character, str) else error.character
        self._report(
            "file.bad-character",
            f"The character U+{number:04X} may not stand in a YAML file.",
            mark,
            "Take it away; in a quoted text it can be written as an escape.",
        )

    def _bad_syntax(self, error: yaml.MarkedYAMLError) -> None:
        place = error.problem_mark or error.context_mark
        mark = Mark(place.line + 1, place.column + 1) if place else None
        about = f"{error.context}, {error.problem}" if error.context else f"{error.problem}"
        hint = "Indent with spaces; YAML takes no tabs." if "'\\t'" in about else ""
        self._report("file.syntax", f"The file is not YAML here: {about[:300]}.", mark, hint)

    def _stop(self, code: str, message: str, event: Event) -> None:
        self._report(code, message, _mark(event))
        raise _StopLoading

    def _report(self, code: str, message: str, mark: Mark | None, hint: str = "") -> None:
        line, column = (mark.line, mark.column) if mark else (None, None)
        self.problems.append(Problem(code, "error", message, hint, line=line, column=column))


def _mark(event: Event | NodeEvent) -> Mark | None:
    start = event.start_mark
    return Mark(start.line + 1, start.column + 1) if start else None
