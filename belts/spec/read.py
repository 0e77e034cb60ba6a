"""From a tree to plain values, after the description in ``belts.spec.keys``.

Whatever is wrong becomes a problem, and reading goes on; a value that cannot be used is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from belts.spec.durations import PATTERN as DURATION_PATTERN
from belts.spec.durations import format_duration, parse_duration
from belts.spec.kinds import (
    Choice,
    Decimal,
    Duration,
    Key,
    Kind,
    ListOf,
    MapOf,
    Marked,
    Record,
    Script,
    Tagged,
    Text,
    Whole,
    WholeOr,
    Word,
    WordOrRecord,
)
from belts.spec.limits import PROBLEMS
from belts.spec.names import did_you_mean, listed, nearest, quoted
from belts.spec.nodes import Mapping, Mark, Node, Scalar, Sequence
from belts.spec.problems import Problem

_WHOLE = re.compile(r"-?[0-9]{1,12}", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?", re.ASCII)


class _Nothing:
    """What is read from a value that cannot be used."""


NOTHING: Final = _Nothing()


class Reader:
    """Reads a tree; afterwards it has the problems, and the marks by path.

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
        """Whether so much is wrong that hints for yet more would only cost time."""
        return len(self.problems) >= PROBLEMS

    # Words

    def _scalar(self, node: Node, path: str, wanted: str) -> Scalar | None:
        if isinstance(node, Scalar) and not node.is_null:
            return None if node.refused else node
        self._wrong_type(node, path, wanted)
        return None

    def _wrong_type(self, node: Node, path: str, wanted: str) -> Any:
        kinds = {Scalar: "nothing", Sequence: "a list", Mapping: "a mapping"}
        found = kinds[type(node)]
        if isinstance(node, Scalar) and not node.is_null:
            found = f"the text {quoted(node.text)}"
        hint = "Write '' for an empty text." if found == "nothing" and wanted == "a text" else ""
        return self.report("value.wrong-type", path, f"Here is {found}; it must be {wanted}.", hint)

    def _word(self, kind: Word, node: Node, path: str) -> Any:
        scalar = self._scalar(node, path, kind.noun)
        if scalar is None:
            return NOTHING
        if len(scalar.text) > kind.longest:
            message = f"The text has {len(scalar.text):,} characters; at most {kind.longest:,} fit."
            return self.report("value.too-long", path, message)
        if re.fullmatch(kind.pattern, scalar.text):
            return scalar.text
        message = f"{quoted(scalar.text)} is not {kind.noun}."
        return self.report("value.malformed", path, message, f"An example: {kind.example}")

    def _text(self, kind: Text, node: Node, path: str) -> Any:
        scalar = self._scalar(node, path, "a text")
        if scalar is None:
            return NOTHING
        size = len(scalar.text.encode("utf-8", "replace"))
        if size > kind.longest_bytes:
            message = f"The text has {size:,} bytes; at most {kind.longest_bytes:,} fit."
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
        pattern = _WHOLE if isinstance(kind, Whole) else _DECIMAL
        if not scalar.plain or not pattern.fullmatch(scalar.text):
            return self._wrong_type(node, path, wanted)
        number = int(scalar.text) if isinstance(kind, Whole) else float(scalar.text)
        if kind.least <= number <= kind.most:
            return number
        message = f"{scalar.text} is out of range; it must be {kind.least} to {kind.most}."
        return self.report("value.not-allowed", path, message)

    def _duration(self, kind: Duration, node: Node, path: str) -> Any:
        scalar = self._scalar(node, path, "a duration such as 10m")
        if scalar is None:
            return NOTHING
        seconds = parse_duration(scalar.text)
        if seconds is None or not re.fullmatch(DURATION_PATTERN, scalar.text):
            message = f"{quoted(scalar.text)} is not a duration."
            return self.report(
                "value.malformed", path, message, "Write seconds, or such as 30s, 10m, 1h30m."
            )
        if kind.least_s <= seconds <= kind.most_s:
            return seconds
        least, most = format_duration(kind.least_s), format_duration(kind.most_s)
        message = f"{scalar.text} is out of range; it must be {least} to {most}."
        return self.report("value.bad-duration", path, message)

    def _wholeor(self, kind: WholeOr, node: Node, path: str) -> Any:
        if isinstance(node, Scalar) and node.plain and _WHOLE.fullmatch(node.text):
            return self._whole(kind.whole, node, path)
        if isinstance(kind.other, Record) and not isinstance(node, Mapping):
            return self._wrong_type(node, path, "a whole number or a mapping")
        return self.read(kind.other, node, path)

    # Scripts

    def _script(self, kind: Script, node: Node, path: str) -> Any:
        del kind
        parts = node.items if isinstance(node, Sequence) else (node,)
        if not parts:
            return self.report("value.empty", path, "The script has no lines.")
        texts: list[str] = []
        rows: list[tuple[int, int]] = []
        for index, part in enumerate(parts):
            part_path = f"{path}[{index}]" if part is not node else path
            if part.mark is not None:
                self.marks[part_path] = part.mark
            scalar = self._scalar(part, part_path, "a text")
            if scalar is not None:
                texts.append(_script_text(scalar.text))
                rows += self._rows(scalar, texts[-1])
        if node.mark is not None:
            self.marks[path] = Mark(node.mark.line, node.mark.column, tuple(rows))
        return "\n".join(texts) if texts else NOTHING

    def _rows(self, scalar: Scalar, text: str) -> Iterable[tuple[int, int]]:
        if scalar.mark is None:
            return
        for index, line in enumerate(text.split("\n")):
            number = scalar.mark.line + 1 + index
            if not scalar.block:
                yield scalar.mark.line, scalar.mark.column + (not scalar.plain)
            elif number <= len(self.lines):
                yield number, max(0, len(self.lines[number - 1]) - len(line)) + 1

    # Lists and mappings

    def _listof(self, kind: ListOf, node: Node, path: str) -> Any:
        if isinstance(node, Sequence):
            values = self._entries(kind, node, path)
        elif kind.single and not (isinstance(node, Scalar) and node.is_null):
            if node.mark is not None:
                self.marks[path] = node.mark
            values = [self.read(kind.entry, node, f"{path}[0]")]
        else:
            return self._wrong_type(node, path, "a list")
        return values

    def _entries(self, kind: ListOf, node: Sequence, path: str) -> Any:
        if len(node.items) < kind.least:
            return self.report("value.empty", path, "The list is empty; it needs an entry.")
        if len(node.items) > kind.most:
            message = f"The list has {len(node.items):,} entries; at most {kind.most:,} fit."
            return self.report("value.too-many", path, message)
        values = []
        for index, item in enumerate(node.items):
            value = self.read(kind.entry, item, f"{path}[{index}]")
            if kind.unique and value is not NOTHING and value in values:
                message = f"{quoted(str(value))} stands twice in the list."
                self.report("value.duplicate", f"{path}[{index}]", message, "Take one away.")
                value = NOTHING
            values.append(value)
        return values

    def _mapof(self, kind: MapOf, node: Node, path: str) -> Any:
        if not isinstance(node, Mapping):
            return self._wrong_type(node, path, "a mapping")
        if len(node.pairs) > kind.most:
            message = f"The mapping has {len(node.pairs):,} entries; at most {kind.most:,} fit."
            return self.report("value.too-many", path, message)
        found: dict[str, Any] = {}
        for key, value in node.pairs:
            entry_path = f"{path}.{key.text[:100]}"
            name = self._word(kind.key, self._key(key, entry_path), entry_path)
            read = self.read(kind.value, value, entry_path)
            if name is not NOTHING and read is not NOTHING:
                found[name] = read
        return found

    def _key(self, key: Scalar, path: str) -> Scalar:
        if key.mark is not None:
            self.marks[path] = self.keys[path] = key.mark
        return Scalar(key.text, plain=False, mark=key.mark)

    def _record(self, kind: Record, node: Node, path: str) -> Any:
        if not isinstance(node, Mapping):
            return self._wrong_type(node, path, f"{kind.noun}: a mapping of its keys")
        found: dict[str, Any] = {}
        for key, value in node.pairs:
            self._entry(kind, (key, value), path, found)
        self._require(kind, node.names, path)
        return found

    def _entry(
        self, kind: Record, pair: tuple[Scalar, Node], path: str, found: dict[str, Any]
    ) -> None:
        name, value = pair[0].text, pair[1]
        if pair[0].refused:
            return
        known = kind.key(name)
        if known is None:
            self._unknown_key(kind, pair[0], path)
            return
        entry_path = f"{path}.{name}" if path else name
        if known.null and isinstance(value, Scalar) and value.is_null:
            if known.required:
                self.marks[entry_path] = pair[0].mark or Mark(1, 1)
                self._wrong_type(value, entry_path, _wanted(known))
            return
        read = self.read(known.kind, value, entry_path)
        if read is not NOTHING:
            found[name] = read
        else:
            self.unread.add(entry_path)

    def _unknown_key(self, kind: Record, key: Scalar, path: str) -> None:
        if self.is_full:
            return
        entry_path = f"{path}.{key.text[:100]}" if path else key.text[:100]
        if key.mark is not None:
            self.marks[entry_path] = key.mark
        names = [known.name for known in kind.keys]
        if near := nearest(key.text, names):
            self.unread.add(f"{path}.{near}" if path else near)
        hint = dict(kind.elsewhere).get(key.text)
        if hint is None:
            hint = did_you_mean(key.text, names, what="keys here")
        message = f"{_capital(kind.noun)} has no key {quoted(key.text)}."
        self.report("key.unknown", entry_path, message, hint)

    def _require(self, kind: Record, present: Iterable[str], path: str) -> None:
        missing = [key for key in kind.keys if key.required and key.name not in present]
        for key in missing:
            message = f"{_capital(kind.noun)} needs the key {quoted(key.name)}."
            self.report("key.missing", path, message, key.about)

    # Alternatives

    def _wordorrecord(self, kind: WordOrRecord, node: Node, path: str) -> Any:
        if isinstance(node, Mapping):
            return self._record(kind.record, node, path)
        return self._word(kind.word, node, path)

    def _tagged(self, kind: Tagged, node: Node, path: str) -> Any:
        if not isinstance(node, Mapping):
            return self._word(kind.word, node, path)
        if any(kind.record.key(name) for name in node.names):
            return self._record(kind.record, node, path)
        if len(node.pairs) != 1:
            message = f"{_capital(kind.record.noun)} is one 'Type: NAME', or has the key name."
            return self.report("value.malformed", path, message, "An example: - String: VERSION")
        tag, value = node.pairs[0]
        if tag.text not in kind.tags:
            near = nearest(tag.text, kind.tags)
            hint = f"Did you mean {quoted(near)}?" if near else f"Known: {listed(kind.tags)}."
            message = f"There is no type {quoted(tag.text)} of outputs."
            return self.report("value.not-allowed", path, message, hint)
        word = self._word(kind.word, value, path)
        return word if word is NOTHING else {"type": tag.text, "short": word}

    def _marked(self, kind: Marked, node: Node, path: str) -> Any:
        names = [name for name, _ in kind.markers]
        example = f"Begin it with one of {listed(names)}, such as '- manual:'."
        if not isinstance(node, Mapping):
            return self._wrong_type(node, path, f"{kind.noun}: a mapping of its keys")
        present = [name for name in node.names if name in names]
        if not present:
            near = next((near for key in node.names[:9] if (near := nearest(key, names))), None)
            hint = f"Did you mean {quoted(near)}?" if near else example
            return self.report("trigger.kind", path, "The trigger does not say its kind.", hint)
        if len(present) > 1:
            message = f"The trigger has several kinds: {listed(present)}."
            return self.report("trigger.kind", path, message, "Make one trigger of each.")
        found = self._below_and_beside(present[0], dict(kind.markers)[present[0]], node, path)
        return found if found is NOTHING else {**found, "kind": present[0]}

    def _below_and_beside(self, marker: str, record: Record, node: Mapping, path: str) -> Any:
        below = node.get(marker)
        below = None if isinstance(below, Scalar) and below.is_null else below
        if below is not None and not isinstance(below, Mapping):
            return self._wrong_type(below, path, f"{record.noun}: a mapping, or keys beside it")
        found: dict[str, Any] = {}
        for pair in node.pairs:
            if pair[0].text != marker:
                self._entry(record, pair, path, found)
        for pair in below.pairs if below is not None else ():
            self._entry_below(record, pair, (node, path, marker), found)
        self._require(record, (*node.names, *(below.names if below is not None else ())), path)
        return found

    def _entry_below(
        self,
        record: Record,
        pair: tuple[Scalar, Node],
        place: tuple[Mapping, str, str],
        found: dict[str, Any],
    ) -> None:
        node, path, marker = place
        name = pair[0].text
        if name == marker or name not in node.names:
            self._entry(record, pair, path, found)
            return
        entry_path = f"{path}.{name}"
        if pair[0].mark is not None:
            self.marks[entry_path] = pair[0].mark
        message = f"The key {quoted(name)} stands below {marker} and beside it."
        self.report("trigger.key-twice", entry_path, message, "Take one away.")


def _script_text(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _wanted(key: Key) -> str:
    return f"given: {key.about[:1].lower()}{key.about[1:].rstrip('.')}"
