"""The bodies that actions on runs take, and the queries of their logs."""

from __future__ import annotations

import re
from typing import Any

from rest_framework import serializers

from products.api.fields import TextField, TruthField, WholeNumberField
from products.api.requests import StrictSerializer
from products.storable import storing_problem
from runs.start import MAX_PARAMETERS, MAX_VALUE_BYTES

#: Pattern of the name of a parameter.
PARAMETER = "^[A-Za-z_][A-Za-z0-9_]{0,99}$"
#: The largest number of a column of numbers.
MAX_NUMBER = 2**31 - 1
_NAME = re.compile(PARAMETER, re.ASCII)
_NAME_LIKE = "Name the parameter like a variable, such as GEM_VERSION."


class ParametersField(serializers.DictField):
    """Values by the names of variables."""

    child = TextField(allow_blank=True, max_length=MAX_VALUE_BYTES)
    default_error_messages = {
        "not_a_dict": 'Send an object of names and texts, such as {{"VERSION": "1.2"}}.',
        "null": 'Send an object of names and texts, such as {{"VERSION": "1.2"}}, or leave it out.',
    }

    def to_internal_value(self, data: Any) -> dict[str, str]:
        """Return the values; raises ValidationError for names that no variable can have."""
        values: dict[str, str] = super().to_internal_value(data)
        if len(values) > MAX_PARAMETERS:
            raise serializers.ValidationError(f"Send at most {MAX_PARAMETERS} parameters.")
        wrong = [name for name in values if not _NAME.fullmatch(name)]
        if wrong:
            raise serializers.ValidationError(
                {name: storing_problem(name) or _NAME_LIKE for name in wrong}
            )
        return values


class StartSerializer(StrictSerializer):
    """Starts a belt: ``ref`` is a branch, tag or commit; empty means the default branch."""

    ref = TextField(required=False, allow_blank=True, max_length=500, default="")
    parameters = ParametersField(required=False, default=dict)
    continue_downstream = TruthField(required=False, default=True)


class RerunSerializer(StrictSerializer):
    """Repeats a belt run: all jobs, or those that did not succeed.

    The default of ``continue_downstream`` is true, except for runs of pull requests.
    """

    only_failed = TruthField(required=False, default=False)
    continue_downstream = TruthField(required=False)


class EmptySerializer(StrictSerializer):
    """A body without keys."""


class LogQuery(StrictSerializer):
    """The number of the attempt; the default is the newest."""

    attempt = WholeNumberField(required=False, min_value=1, max_value=MAX_NUMBER)


class LogStreamQuery(LogQuery):
    """The log after a sequence; the header Last-Event-ID takes precedence."""

    after = WholeNumberField(required=False, min_value=-1, max_value=MAX_NUMBER, default=-1)


class ChangesQuery(StrictSerializer):
    """The last version of the caller; the header Last-Event-ID takes precedence."""

    version = TextField(required=False, allow_blank=True, max_length=40, default="")


class StreamedEvent(serializers.Serializer[Any]):
    """A server-sent event; ``data`` is JSON."""

    event = serializers.CharField()
    data = serializers.CharField()  # type: ignore[assignment]  # a field, which the metaclass takes away
    id = serializers.CharField(required=False)
