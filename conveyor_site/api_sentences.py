"""Sentences in the place of the framework's: each names the thing, and what would work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rest_framework import exceptions

_CSRF = "CSRF Failed: "


def sentence_of(error: exceptions.APIException, context: dict[str, Any]) -> str:
    """Return what to tell of an error of the framework that answers a request.

    ``context`` is that of an exception handler, with ``view`` and ``request``. A sentence that a
    view gave is kept.
    """
    request, view = context.get("request"), context.get("view")
    if request is None or view is None:
        return str(error.detail)
    for kind, tell in _TELLERS:
        if isinstance(error, kind):
            return tell(error, request, view)
    return str(error.detail)


def _is_given(error: exceptions.APIException) -> bool:
    return str(error.detail) != str(error.default_detail)


def _method(error: Any, request: Any, view: Any) -> str:
    allowed = ", ".join(view.allowed_methods) or "nothing"
    return f"{request.path} does not take {request.method}; it takes {allowed}."


def _media_type(error: Any, request: Any, view: Any) -> str:
    given = request.content_type
    told = f"of the type {given[:100]}, which is not read" if given else "of no known type"
    return f"The body is {told}. Send JSON, with the header Content-Type: application/json."


def _accept(error: Any, request: Any, view: Any) -> str:
    kinds = " or ".join(each.media_type for each in view.renderer_classes)
    return f"{request.path} cannot be given in the form that Accept asks for. Ask for {kinds}."


def _nothing(error: Any, request: Any, view: Any) -> str:
    if _is_given(error):
        return str(error.detail)
    asked = request.query_params.get("format")
    if asked is not None:
        known = " or ".join(each.format for each in view.renderer_classes)
        return f"There is no format {asked[:100]!r} here. Leave format out, or ask for {known}."
    return f"There is nothing at {request.path} that you may see."


def _forbidden(error: Any, request: Any, view: Any) -> str:
    told = str(error.detail)
    if told.startswith(_CSRF):
        reason = told.removeprefix(_CSRF).rstrip(".")
        return (
            f"A login of pages sends its CSRF token as X-CSRFToken with each {request.method} "
            f"({reason}). Programs send a token as Authorization: Bearer cvy_... instead."
        )
    return told if _is_given(error) else f"You may not send {request.method} to {request.path}."


def _throttled(error: Any, request: Any, view: Any) -> str:
    wait = f"{error.wait:g} seconds" if error.wait else "a while"
    return f"There were too many requests to {request.path}. Wait {wait} and ask again."


def _unreadable(error: Any, request: Any, view: Any) -> str:
    if _is_given(error):
        return str(error.detail)
    return "The body cannot be read. Send JSON, such as {}."


_Teller = Callable[[Any, Any, Any], str]
_TELLERS: tuple[tuple[type[exceptions.APIException], _Teller], ...] = (
    (exceptions.MethodNotAllowed, _method),
    (exceptions.UnsupportedMediaType, _media_type),
    (exceptions.NotAcceptable, _accept),
    (exceptions.NotFound, _nothing),
    (exceptions.PermissionDenied, _forbidden),
    (exceptions.Throttled, _throttled),
    (exceptions.ParseError, _unreadable),
)
