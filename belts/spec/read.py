"""From a tree to plain values, after the description in ``belts.spec.keys``.

Each mistake becomes a problem, and reading continues without the value.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from belts.spec.hints import JOBS, for_unknown_key, looks_like_a_job, of_another_system
from belts.spec.kinds import (
    ListOf,
    MapOf,
    Marked,
    Record,
    Script,
    Tagged,
    WholeOr,
    WordOrRecord,
)
from belts.spec.names import listed, nearest, quoted
from belts.spec.nodes import Mapping, Mark, Node, Scalar, Sequence
from belts.spec.read_words import A_COMMAND, NOTHING, WHOLE, WordReader


class Reader(WordReader):
    """Reads a tree; afterwards it has the problems, and the marks by path."""

    def _wholeor(self, kind: WholeOr, node: Node, path: str) -> Any:
        if isinstance(node, Scalar) and node.plain and WHOLE.fullmatch(node.text):
            return self._whole(kind.whole, node, path)
        if isinstance(kind.other, Record) and not isinstance(node, Mapping):
            return self._wrong_type(node, path, "a whole number or a mapping")
        return self.read(kind.other, node, path)

    # Scripts

    def _script(self, kind: Script, node: Node, path: str) -> Any:
        del kind
        parts = node.items if isinstance(node, Sequence) else (node,)
        if not parts:
            return self.report("value.empty", path, "The script is empty.", "Write a command.")
        texts: list[str] = []
        rows: list[tuple[int, int]] = []
        for index, part in enumerate(parts):
            part_path = f"{path}[{index}]" if part is not node else path
            if part.mark is not None:
                self.marks[part_path] = part.mark
            scalar = self._scalar(part, part_path, A_COMMAND)
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
            return self._wrong_type(node, path, "a list", _list_hint(kind, node))
        return values

    def _entries(self, kind: ListOf, node: Sequence, path: str) -> Any:
        if len(node.items) < kind.least:
            return self.report("value.empty", path, "The list is empty.", "Write an entry.")
        if len(node.items) > kind.most:
            message = f"The list has {len(node.items):,} entries; the limit is {kind.most:,}."
            return self.report("value.too-many", path, message)
        values = []
        for index, item in enumerate(node.items):
            value = self.read(kind.entry, item, f"{path}[{index}]")
            if kind.unique and value is not NOTHING and value in values:
                message = f"The list has {quoted(str(value))} twice."
                self.report("value.duplicate", f"{path}[{index}]", message, "Remove one of them.")
                value = NOTHING
            values.append(value)
        return values

    def _mapof(self, kind: MapOf, node: Node, path: str) -> Any:
        if not isinstance(node, Mapping):
            return self._wrong_type(node, path, "a mapping")
        if len(node.pairs) > kind.most:
            message = f"The mapping has {len(node.pairs):,} entries; the limit is {kind.most:,}."
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
            return self._wrong_type(node, path, f"a mapping with the keys of {kind.noun}")
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
            self._unknown_key(kind, pair, path)
            return
        entry_path = f"{path}.{name}" if path else name
        if known.null and isinstance(value, Scalar) and value.is_null:
            if known.required:
                self.marks[entry_path] = pair[0].mark or Mark(1, 1)
                message = f"The key {quoted(name)} has no value."
                self.report("value.wrong-type", entry_path, message, known.about)
            return
        read = self.read(known.kind, value, entry_path)
        if read is not NOTHING:
            found[name] = read
        else:
            self.unread.add(entry_path)

    def _unknown_key(self, kind: Record, pair: tuple[Scalar, Node], path: str) -> None:
        if self.is_full:
            return
        key, value = pair
        entry_path = f"{path}.{key.text[:100]}" if path else key.text[:100]
        if key.mark is not None:
            self.marks[entry_path] = key.mark
        names = [known.name for known in kind.keys]
        near = nearest(key.text, names)
        if near and not of_another_system(key.text):
            self.unread.add(f"{path}.{near}" if path else near)
        hint = dict(kind.elsewhere).get(key.text)
        if hint is None and not path and not near and looks_like_a_job(value):
            hint = JOBS
        if "\xa0" in key.text:
            hint = "Replace the no-break space (U+00A0) in the key with an ordinary space."
        if hint is None:
            hint = for_unknown_key(key.text, names, noun=kind.noun)
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
            message = "An output has one type and one name, or a mapping with the key `name`."
            return self.report("value.malformed", path, message, "Example: - String: VERSION")
        tag, value = node.pairs[0]
        if tag.text not in kind.tags:
            near = nearest(tag.text, kind.tags)
            hint = f"Did you mean {quoted(near)}?" if near else _TYPES
            message = f"The output type {quoted(tag.text)} does not exist."
            return self.report("value.not-allowed", path, message, hint)
        word = self._word(kind.word, value, path)
        return word if word is NOTHING else {"type": tag.text, "short": word}

    def _marked(self, kind: Marked, node: Node, path: str) -> Any:
        names = [name for name, _ in kind.markers]
        example = f"Begin it with one of {listed(names)}, such as: - manual:"
        if not isinstance(node, Mapping):
            wanted = f"a mapping with the keys of {kind.noun}"
            return self._wrong_type(node, path, wanted, example)
        present = [name for name in node.names if name in names]
        if not present:
            near = next((near for key in node.names[:9] if (near := nearest(key, names))), None)
            hint = f"Did you mean {quoted(near)}?" if near else example
            return self.report("trigger.kind", path, "The trigger has no kind.", hint)
        if len(present) > 1:
            message = f"The trigger has several kinds: {listed(present)}."
            return self.report("trigger.kind", path, message, "Write a trigger for each kind.")
        found = self._below_and_beside(present[0], dict(kind.markers)[present[0]], node, path)
        return found if found is NOTHING else {**found, "kind": present[0]}

    def _below_and_beside(self, marker: str, record: Record, node: Mapping, path: str) -> Any:
        below = node.get(marker)
        below = None if isinstance(below, Scalar) and below.is_null else below
        if below is not None and not isinstance(below, Mapping):
            return self._wrong_type(below, path, f"a mapping with the keys of {record.noun}")
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
        message = f"The key {quoted(name)} is written below {marker} and beside it."
        self.report("trigger.key-twice", entry_path, message, "Remove one of them.")


_TYPES = "The only type is String: a text of at most 32 KiB."


def _script_text(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _list_hint(kind: ListOf, node: Node) -> str:
    """Return an example of the list, for an author who wrote a mapping."""
    if isinstance(node, Scalar) and node.is_null:
        return ""
    return f"Write a list:\n{kind.example}" if kind.example else ""
