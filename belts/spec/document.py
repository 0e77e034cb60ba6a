"""Frozen dataclasses as plain data and back, without loss.

Fields with ``metadata={"document": False}`` are left out; they say where something stood in a
file and not what it means. Text, numbers, None, tuples, ``dict[str, str]`` and further dataclasses
are the types that fields may have.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Hashable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def dump(value: Any) -> Any:
    """Return ``value`` as mappings with sorted keys, lists, texts, numbers and None."""
    if dataclasses.is_dataclass(value):
        return {
            name: dump(getattr(value, name))
            for name in sorted(_fields(typing.cast(Hashable, type(value))))
        }
    if isinstance(value, tuple):
        return [dump(item) for item in value]
    if isinstance(value, Mapping):
        return {key: dump(value[key]) for key in sorted(value)}
    return value


def restore(cls: type[T], data: Mapping[str, Any]) -> T:
    """Return the instance of ``cls`` that ``dump`` wrote.

    A field that the data lacks has its default, so that older documents stay readable. Raises
    KeyError for data of a field that ``cls`` does not have.
    """
    fields = _fields(typing.cast(Hashable, cls))
    return cls(**{name: _value(fields[name], item) for name, item in data.items()})


@functools.cache
def _fields(cls: Hashable) -> dict[str, Any]:
    hints = typing.get_type_hints(typing.cast("type[Any]", cls))
    kept = [
        each
        for each in dataclasses.fields(typing.cast("type[Any]", cls))
        if each.metadata.get("document", True)
    ]
    return {each.name: hints[each.name] for each in kept}


def _value(hint: Any, data: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin is tuple:
        inner = typing.get_args(hint)[0]
        return tuple(_value(inner, item) for item in data)
    if origin is dict:
        return dict(data)
    if origin in (types.UnionType, typing.Union):
        return data
    if hint is float:
        return float(data)
    if dataclasses.is_dataclass(hint):
        return restore(typing.cast("type[Any]", hint), data)
    return data
