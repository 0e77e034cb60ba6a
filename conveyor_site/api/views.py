"""The API's root, its documentation, and the answer to paths that lead nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from drf_spectacular.generators import SchemaGenerator
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.routers import APIRootView
from rest_framework.views import APIView

from conveyor_site.api.schema import TokenScheme

__all__ = ["ApiRoot", "DocsView", "NothingHere", "TokenScheme"]


_WHAT_THERE_IS = "What there is stands at /api/v1/docs/."


class ApiRoot(APIRootView):
    """What there is. A token is sent as `Authorization: Bearer cvy_...`."""

    scope = "read"
    schema = None


class NothingHere(APIView):
    """Answers paths below the API that lead nowhere, in the shape of its errors."""

    permission_classes = [AllowAny]
    authentication_classes = []
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Raise NotFound whatever the method."""
        has_slash = request.path.endswith("/")
        hint = _WHAT_THERE_IS if has_slash else "Paths of the API end with a slash."
        raise NotFound(f"There is nothing at {request.path}. {hint}")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an operation, as the documentation shows it."""

    name: str
    place: str
    kind: str
    required: bool
    description: str


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the API, as the documentation shows it."""

    method: str
    path: str
    description: str
    parameters: tuple[Parameter, ...]
    body: tuple[str, ...]
    answers: str


class DocsView(APIView):
    """The documentation as a page, made from the schema."""

    scope = "read"
    schema = None

    def get(self, request: Request) -> HttpResponse:
        """Return the page."""
        generator = SchemaGenerator()  # type: ignore[no-untyped-call]  # untyped package
        schema = generator.get_schema(request=None, public=True)  # type: ignore[no-untyped-call]  # untyped package
        context = {"operations": list(operations_of(schema))}
        return render(request._request, "conveyor_site/api_docs.html", context)


def operations_of(schema: dict[str, Any]) -> Iterator[Operation]:
    """Yield the operations of an OpenAPI schema in its order."""
    components = schema["components"]["schemas"]
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield Operation(
                method=method.upper(),
                path=path,
                description=operation.get("description", ""),
                parameters=tuple(_parameter(each) for each in operation.get("parameters", ())),
                body=_body_keys(operation, components),
                answers=", ".join(operation["responses"]),
            )


def _parameter(given: dict[str, Any]) -> Parameter:
    kind = given["schema"]
    words = kind.get("enum") or [kind.get("format") or kind.get("type", "")]
    return Parameter(
        name=given["name"],
        place=given["in"],
        kind=", ".join(str(word) for word in words),
        required=given.get("required", False),
        description=_sentence(given.get("description", "")),
    )


def _sentence(description: str) -> str:
    """Return the first line, unless it begins the list of values, which are shown as the kind."""
    first = description.split("\n")[0]
    return "" if first.startswith("* ") else first.rstrip(".")


def _body_keys(operation: dict[str, Any], components: dict[str, Any]) -> tuple[str, ...]:
    content = operation.get("requestBody", {}).get("content", {})
    reference = content.get("application/json", {}).get("schema", {}).get("$ref", "")
    return tuple(components.get(reference.rpartition("/")[2], {}).get("properties", {}))
