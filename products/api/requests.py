"""Bodies and queries of requests: unknown, repeated and empty parameters are errors."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

#: Maximum number of unknown keys in an error.
_MOST_NAMED = 50


class StrictSerializer(serializers.Serializer[Any]):
    """A request's body in which an unknown key is an error with a hint."""

    default_error_messages = {
        "invalid": "Send an object of names and values, such as {{}}.",
        "null": "Send an object of names and values, such as {{}}.",
    }

    @property
    def errors(self) -> Any:
        """Return what is wrong; the framework has another message for a body of ``null``."""
        if self.initial_data is None:
            return {"non_field_errors": [self.error_messages["null"].format()]}
        return super().errors

    def to_internal_value(self, data: Any) -> Any:
        """Return the validated values; raises ValidationError that names unknown keys."""
        values = super().to_internal_value(data)
        _refuse((key for key in data if key not in self.fields), self._hint)
        return values

    def _hint(self, key: str) -> str:
        known = [*self.fields, *self.context.get("besides", ())]
        near = get_close_matches(key, known, n=1)
        names = ", ".join(known) or "none"
        return f"Did you mean {near[0]}?" if near else f"This key does not exist. Known: {names}."


class NoFilters(StrictSerializer):
    """The query of a list without filters."""


def valid_query(
    request: Request, kind: type[serializers.Serializer[Any]], *, besides: Collection[str] = ()
) -> dict[str, Any]:
    """Return the values of a request's query; ``besides`` are parameters that others read.

    An empty parameter is a value like any other, not one that is left out: where a script's
    variable was empty, a list of everything would be a surprise. Raises ValidationError.
    """
    given = request.query_params
    twice = (name for name, values in given.lists() if len(values) > 1)
    _refuse(twice, lambda _name: "Send it once.")
    asked = {name: given[name] for name in given if name not in besides}
    query = kind(data=asked, context={"besides": besides})
    query.is_valid(raise_exception=True)
    values: dict[str, Any] = query.validated_data
    return values


def _refuse(keys: Iterable[Any], why: Any) -> None:
    """Raise ValidationError with a sentence for each of the keys, if there are any."""
    wrong = [str(key) for _, key in zip(range(_MOST_NAMED), keys, strict=False)]
    if wrong:
        raise serializers.ValidationError({key: why(key) for key in wrong})
