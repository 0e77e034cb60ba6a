"""Cursors for all lists of the API: constant cost at any depth, never a count."""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Any

from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

#: What a cursor says once decoded: the direction, and the id of the row where the page begins.
_CURSOR = re.compile(
    r"(?P<reverse>r=1&)?p=(?P<position>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.ASCII
)


class TimeCursorPagination(CursorPagination):
    """Newest first; UUIDv7 keys sort by time of creation."""

    ordering = "-id"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
    page_size_query_description = "The number of results on a page, 1 to 200."
    invalid_cursor_message = (
        "This cursor is not from a page of this list. Start again without a cursor."
    )

    def get_page_size(self, request: Request) -> int:
        """Return the size of the page; raises ValidationError for one that cannot be had."""
        asked = request.query_params.get("page_size")
        if asked is None:
            return self.page_size
        digits = asked.isascii() and asked.isdigit() and len(asked) <= len(str(self.max_page_size))
        if not digits or not 1 <= int(asked) <= self.max_page_size:
            raise ValidationError({"page_size": f"Send a number from 1 to {self.max_page_size}."})
        return int(asked)

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Return the cursor of the request; raises NotFound for one that no page gave.

        Ids are unique, so every cursor has a position and none has an offset.
        """
        encoded = request.query_params.get(self.cursor_query_param)
        if encoded is None:
            return None
        try:
            decoded = b64decode(encoded, validate=True).decode("ascii")
        except ValueError as error:
            raise NotFound(self.invalid_cursor_message) from error
        match = _CURSOR.fullmatch(decoded)
        if match is None:
            raise NotFound(self.invalid_cursor_message)
        position: Any = match["position"]
        return Cursor(offset=0, reverse=match["reverse"] is not None, position=position)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Return the parameters for the schema, with the limits of the page size."""
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            if parameter["name"] == "page_size":
                parameter["schema"] |= {"minimum": 1, "maximum": self.max_page_size}
        return parameters

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the schema of a page; the first has no previous one and the last no next."""
        page: dict[str, Any] = super().get_paginated_response_schema(schema)
        for name in ("next", "previous"):
            page["properties"][name] = {"type": ["string", "null"], "format": "uri"}
        return page
