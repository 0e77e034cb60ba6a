"""What the OpenAPI schema cannot find out by itself."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiSerializerExtension,
    OpenApiSerializerFieldExtension,
)
from drf_spectacular.openapi import AutoSchema

from belts.spec.names import RESERVED_VARIABLE
from products.api.fields import TextField
from products.api.requests import NoFilters
from products.api.scoped import ReadViewSet
from runs.api.requests import PARAMETER
from runs.start import MAX_PARAMETERS

WITHOUT_NUL = r"^[^\u0000]*$"


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped package
    """How the schema describes ``conveyor_site.auth.TokenAuthentication``."""

    target_class = "conveyor_site.auth.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return the security scheme object."""
        return {"type": "http", "scheme": "bearer", "description": "A token cvy_..."}


class StrictBody(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # untyped package
    """How the schema describes ``products.api.requests.StrictSerializer``: no other keys."""

    target_class = "products.api.requests.StrictSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        """Return the object that the fields make, closed."""
        fields = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return {**fields, "additionalProperties": False}


class ParametersOfAStart(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # untyped package
    """How the schema describes ``runs.api.requests.ParametersField``: by names of variables."""

    target_class = "runs.api.requests.ParametersField"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        """Return the schema of the mapping with that of its names."""
        mapping = auto_schema._map_serializer_field(self.target, direction, bypass_extensions=True)
        names = {"pattern": PARAMETER, "not": {"pattern": f"^({RESERVED_VARIABLE})$"}}
        return {**mapping, "maxProperties": MAX_PARAMETERS, "propertyNames": names}


class SiteSchema(AutoSchema):
    """Describes what narrows lists (``products.api.scoped.ReadViewSet.filters``), and all texts."""

    def get_description(self) -> str:  # type: ignore[override]  # as drf-spectacular has it
        """Return what an operation does; of the detail of a row what that is."""
        if getattr(self.view, "action", "") == "retrieve" and isinstance(self.view, ReadViewSet):
            return self.view.sentence_of_one()
        return str(super().get_description())

    def get_override_parameters(self) -> list[Any]:
        """Return the serializer of the query of a list, whose fields are its parameters."""
        filters = getattr(self.view, "filters", NoFilters)
        is_list = getattr(self.view, "action", "") == "list"
        return [filters] if filters is not NoFilters and is_list else []

    def _insert_field_validators(self, field: Any, schema: dict[str, Any]) -> None:
        super()._insert_field_validators(field, schema)  # type: ignore[no-untyped-call]  # untyped package
        if isinstance(field, TextField):
            schema["pattern"] = WITHOUT_NUL


_TEXT = {"type": "string"}
_COUNT = {"type": ["integer", "null"]}
_PROBLEM = {
    "type": "object",
    "description": "A problem of a request or a belt file; lines and columns count from 1.",
    "required": ["code", "severity", "message", "hint", "path", "line", "column", "excerpt"],
    "properties": {
        "code": _TEXT,
        "severity": {"type": "string", "enum": ["error", "warning"]},
        "message": _TEXT,
        "hint": _TEXT,
        "path": _TEXT,
        "line": _COUNT,
        "column": _COUNT,
        "excerpt": {**_TEXT, "description": "The offending line, or the part around the place."},
    },
}
_ERROR = {
    "type": "object",
    "description": "The body of every answer that is an error.",
    "required": ["code", "message", "problems"],
    "properties": {
        "code": _TEXT,
        "message": _TEXT,
        "problems": {"type": "array", "items": {"$ref": "#/components/schemas/ErrorProblem"}},
    },
}


def describe_errors(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add the one shape of errors to every operation of the schema; a hook of drf-spectacular."""
    schemas = result.setdefault("components", {}).setdefault("schemas", {})
    schemas |= {"Error": _ERROR, "ErrorProblem": _PROBLEM}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for methods in result["paths"].values():
        for operation in methods.values():
            operation["responses"]["default"] = {"description": "An error.", "content": content}
    return result
