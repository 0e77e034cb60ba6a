"""Fields and parser of requests: strict JSON types, nothing is coerced."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser

from products.storable import LEAVE_OUT, unstorable

#: The largest body of a request, in bytes.
BODY_LIMIT = 1024 * 1024
_WHOLE = re.compile(r"-?[0-9]+", re.ASCII)


class BodyTooLargeError(APIException):
    """The body is larger than any that the API takes."""

    status_code = 413
    default_detail = f"The body is larger than {BODY_LIMIT} bytes."
    default_code = "too-large"


class PlainJSONParser(JSONParser):
    """Reads JSON of bounded size and depth."""

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the value; raises ParseError and BodyTooLargeError."""
        body = stream.read(BODY_LIMIT + 1)
        if len(body) > BODY_LIMIT:
            raise BodyTooLargeError
        try:
            return super().parse(io.BytesIO(body), media_type, parser_context)
        except RecursionError as error:
            raise ParseError("The body is nested too deeply.") from error
        except ParseError as error:
            why = str(error.detail).removeprefix("JSON parse error - ")
            if isinstance(error.__context__, UnicodeDecodeError):
                why = f"it is not UTF-8 at byte {error.__context__.start}"
            raise ParseError(f"The body is not JSON that can be read: {why}.") from error


class TextField(serializers.CharField):
    """A string, taken as it is."""

    default_error_messages = {
        "invalid": "Send a text in quotes.",
        "null": "Send a text in quotes, or leave the key out.",
        "blank": "The value is empty. Send a text, or leave the key out.",
        "max_length": "Send at most {max_length} characters.",
        "unstorable": LEAVE_OUT,
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"trim_whitespace": False, **options})

    def to_internal_value(self, data: Any) -> str:
        """Return the text; numbers and booleans are no text."""
        if not isinstance(data, str):
            self.fail("invalid")
        if (number := unstorable(data)) is not None:
            self.fail("unstorable", number=number)
        text: str = super().to_internal_value(data)
        return text


class WordField(serializers.ChoiceField):
    """One of some words."""

    def __init__(self, choices: Any, **options: Any) -> None:
        super().__init__(choices, **options)
        known = ", ".join(map(str, self.choices))
        sentence = f"Send one of {known}."
        self.error_messages |= dict.fromkeys(("invalid_choice", "null", "blank"), sentence)


class IdField(serializers.UUIDField):
    """The id of a row."""

    default_error_messages = {
        "invalid": "Send an id as the API shows it, such as 019a2f4e-7c1d-7e55-8c0b-2d1f3a4b5c6d.",
    }


class WholeNumberField(serializers.IntegerField):
    """A whole number of a query, in digits."""

    default_error_messages = {
        "invalid": "Send a whole number in digits.",
        "max_string_length": "Send a smaller number.",
        "min_value": "Send a number of at least {min_value}.",
        "max_value": "Send a number of at most {max_value}.",
    }

    def to_internal_value(self, data: Any) -> int:
        """Return the number; only digits are accepted, with a minus before them or without."""
        if not (isinstance(data, str) and _WHOLE.fullmatch(data)):
            self.fail("invalid")
        number: int = super().to_internal_value(data)
        return number


class TruthField(serializers.BooleanField):
    """True or false, not a word or number that may mean it."""

    default_error_messages = {
        "invalid": "Send true or false without quotes.",
        "null": "Send true or false, or leave the key out.",
    }

    def to_internal_value(self, data: Any) -> bool:
        """Return the value; only JSON's own two are accepted."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data
