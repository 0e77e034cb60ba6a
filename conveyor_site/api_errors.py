"""The one shape of every error of the API: ``{"code", "message", "problems"}``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from belts.spec.names import visible
from conveyor_site.api_sentences import sentence_of
from products.api.fields import BodyTooLargeError
from products.errors import ConveyorError

DATABASE_DOWN = (
    "The database is not available at the moment. Running jobs continue. Try again in some seconds."
)
DATABASE_ERRORS = (OperationalError, InterfaceError)
RETRY_AFTER_S = 5

_CODES: tuple[tuple[type[exceptions.APIException], str], ...] = (
    (exceptions.ValidationError, "request.invalid"),
    (exceptions.ParseError, "request.unreadable"),
    (exceptions.AuthenticationFailed, "auth.failed"),
    (exceptions.NotAuthenticated, "auth.required"),
    (exceptions.PermissionDenied, "auth.forbidden"),
    (exceptions.NotFound, "not-found"),
    (exceptions.MethodNotAllowed, "request.method"),
    (exceptions.NotAcceptable, "request.accept"),
    (exceptions.UnsupportedMediaType, "request.media-type"),
    (exceptions.Throttled, "request.throttled"),
    (BodyTooLargeError, "request.too-large"),
)
_MESSAGES = {
    "auth.required": "Log in, or send a token as Authorization: Bearer cvy_...",
    "request.invalid": "The request is not valid. See its problems.",
}


def handle_exception(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the answer to an error that a view raised; None for an unexpected error."""
    if isinstance(error, ConveyorError):
        problems = [problem_document(each) for each in getattr(error, "problems", ())]
        return Response(body(error.code, str(error), problems), status=error.http_status)
    if isinstance(error, DATABASE_ERRORS):
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        return Response(body("database.unavailable", DATABASE_DOWN), status=503, headers=headers)
    response = exception_handler(error, context)
    if response is not None:
        response.data = _body_of(_as_api_exception(error), context)
    return response


def body(code: str, message: str, problems: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Return an error's body; a message is a sentence for a person."""
    return {"code": code, "message": message, "problems": problems or []}


def problem_document(problem: Any) -> dict[str, Any]:
    """Return a problem with all keys that a problem has in the API."""
    given: Mapping[str, Any] = problem if isinstance(problem, Mapping) else problem.to_document()
    return {**_problem("", ""), **given}


def _problem(message: str, path: str, code: str = "request.invalid") -> dict[str, Any]:
    return {
        "code": code,
        "severity": "error",
        "message": message,
        "hint": "",
        "path": path,
        "line": None,
        "column": None,
        "excerpt": "",
    }


def _as_api_exception(error: Exception) -> exceptions.APIException:
    if isinstance(error, exceptions.APIException):
        return error
    if isinstance(error, Http404):
        return exceptions.NotFound(*error.args[:1])
    if isinstance(error, DjangoPermissionDenied):
        return exceptions.PermissionDenied(*error.args[:1])
    raise TypeError(f"{type(error).__name__} is no error that an API view answers to.")


def _body_of(error: exceptions.APIException, context: dict[str, Any]) -> dict[str, Any]:
    code = next((code for kind, code in _CODES if isinstance(error, kind)), "request.failed")
    if isinstance(error, exceptions.ValidationError):
        # Keys of a body may have characters that no JSON text can hold.
        found = _flatten(error.detail, "")
        problems = [_problem(message, visible(path)) for path, message in found]
        return body(code, _MESSAGES[code], problems)
    is_given = str(error.detail) != str(error.default_detail)
    known = None if is_given else _MESSAGES.get(code)
    return body(code, known or sentence_of(error, context))


def _flatten(detail: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield (path, message) for each leaf of a ValidationError's detail."""
    if isinstance(detail, Mapping):
        for key, value in detail.items():
            own = path if key == "non_field_errors" else f"{path}.{key}".lstrip(".")
            yield from _flatten(value, own)
    elif isinstance(detail, list):
        for index, value in enumerate(detail):
            nested = isinstance(value, (Mapping, list))
            yield from _flatten(value, f"{path}[{index}]" if nested else path)
    else:
        yield path, str(detail)
