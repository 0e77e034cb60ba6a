"""The belt file as JSON Schema (draft 7, which editors read), made from ``belts.spec.keys``.

It says the form of the file; what words mean (durations in range, names that exist, references)
only the parser knows. Equality of the two on form is kept by a test.
"""

from __future__ import annotations

import json
import re
import sys
from functools import singledispatch
from typing import Any

from belts.spec.durations import PATTERN as DURATION_PATTERN
from belts.spec.keys import BELT, FILE, INPUT, JOB, OUTPUT, RETRY, TRIGGER
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

Schema = dict[str, Any]

_DEFINITIONS: dict[str, Kind] = {
    "trigger": TRIGGER,
    "belt": BELT,
    "job": JOB,
    "input": INPUT,
    "output": OUTPUT,
    "retry": RETRY,
}
_NULL: Schema = {"type": "null"}


def json_schema() -> Schema:
    """Return the schema of a belt file as plain data."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Conveyor belt file",
        "description": "A product's triggers, belts and jobs: .conveyor.yml",
        **_of(FILE),
        "definitions": {name: _of(kind) for name, kind in _DEFINITIONS.items()},
    }


def _reference(kind: Kind) -> Schema:
    for name, defined in _DEFINITIONS.items():
        if kind is defined:
            return {"$ref": f"#/definitions/{name}"}
    return _of(kind)


@singledispatch
def _of(kind: Kind) -> Schema:
    raise TypeError(f"{kind} has no schema.")


@_of.register
def _(kind: Word) -> Schema:
    """Numbers and booleans count as the text that they are written as, where that fits."""
    types = ["string"]
    if _fits(kind, "1.5"):
        types.append("number")
    elif _fits(kind, "1"):
        types.append("integer")
    if _fits(kind, "true"):
        types.append("boolean")
    schema: Schema = {"type": types, "pattern": f"^({kind.pattern})$", "maxLength": kind.longest}
    if len(types) > 1 and not _fits(kind, "-1"):
        schema["minimum"] = 0
    return schema


def _fits(kind: Word, text: str) -> bool:
    return re.fullmatch(kind.pattern, text) is not None


@_of.register
def _(kind: Text) -> Schema:
    return {"type": ["string", "number", "boolean"], "maxLength": kind.longest_bytes}


@_of.register
def _(kind: Script) -> Schema:
    del kind
    text = {"type": ["string", "number", "boolean"]}
    return {"anyOf": [text, {"type": "array", "items": text, "minItems": 1}]}


@_of.register
def _(kind: Choice) -> Schema:
    return {"enum": list(kind.words)}


@_of.register
def _(kind: Whole) -> Schema:
    return {"type": "integer", "minimum": kind.least, "maximum": kind.most}


@_of.register
def _(kind: Decimal) -> Schema:
    return {"type": "number", "minimum": kind.least, "maximum": kind.most}


@_of.register
def _(kind: Duration) -> Schema:
    del kind
    return {
        "type": ["integer", "string"],
        "minimum": 0,
        "maximum": 999_999_999,
        "pattern": f"^({DURATION_PATTERN})$",
    }


@_of.register
def _(kind: WholeOr) -> Schema:
    return {"anyOf": [_of(kind.whole), _reference(kind.other)]}


@_of.register
def _(kind: ListOf) -> Schema:
    entry = _reference(kind.entry)
    many = {"type": "array", "items": entry, "minItems": kind.least, "maxItems": kind.most}
    return {"anyOf": [entry, many]} if kind.single else many


@_of.register
def _(kind: MapOf) -> Schema:
    return {
        "type": "object",
        "propertyNames": {"pattern": f"^({kind.key.pattern})$", "maxLength": kind.key.longest},
        "additionalProperties": _of(kind.value),
        "maxProperties": kind.most,
    }


@_of.register
def _(kind: Record) -> Schema:
    schema = _properties(kind)
    required = [key.name for key in kind.keys if key.required]
    return {**schema, "required": required} if required else schema


def _properties(kind: Record) -> Schema:
    return {
        "type": "object",
        "properties": {key.name: _key(key) for key in kind.keys},
        "additionalProperties": False,
    }


def _key(key: Key) -> Schema:
    schema = _reference(key.kind)
    if key.null and not key.required:
        choices = schema["anyOf"] if list(schema) == ["anyOf"] else [schema]
        schema = {"anyOf": [*choices, _NULL]}
    elif "$ref" in schema:
        schema = {"allOf": [schema]}
    return {"description": key.about, **schema}


@_of.register
def _(kind: WordOrRecord) -> Schema:
    return {"anyOf": [_of(kind.word), _of(kind.record)]}


@_of.register
def _(kind: Tagged) -> Schema:
    tagged = {
        "type": "object",
        "properties": {tag: _of(kind.word) for tag in kind.tags},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
    return {"anyOf": [_of(kind.word), tagged, _of(kind.record)]}


@_of.register
def _(kind: Marked) -> Schema:
    return {"anyOf": [_marked(marker, record) for marker, record in kind.markers]}


def _marked(marker: str, record: Record) -> Schema:
    """Return the schema of one marker; each key stands below it or beside it, not in both."""
    below = _properties(record)
    beside = _properties(record)["properties"]
    rules: list[Schema] = []
    for key in record.keys:
        nested = {
            "required": [marker],
            "properties": {marker: {"type": "object", "required": [key.name]}},
        }
        flat = {"required": [key.name]}
        rules.append(
            {"oneOf": [flat, nested]} if key.required else {"not": {"allOf": [flat, nested]}}
        )
    return {
        "type": "object",
        "description": f"{record.noun[:1].upper()}{record.noun[1:]}; its keys stand here or below.",
        "properties": {marker: {"anyOf": [_NULL, below]}, **beside},
        "additionalProperties": False,
        "required": [marker],
        "allOf": rules,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
