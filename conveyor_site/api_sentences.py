"""Messages for errors of the framework: each names the request and what would work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rest_framework import exceptions

_CSRF = "CSRF Failed: "


def sentence_of(error: exceptions.APIException, context: dict[str, Any]) -> str:
    """Return the message for an error of the framework.

    ``context`` is that of an exception handler, with ``view`` and ``request``. The message of a
    view is kept.
    """
    request, view = context.get("request"), context.get("view")
    if request is None or view is None:
        return str(error.detail)
    for kind, describe in _MESSAGES:
        if isinstance(error, kind):
            return describe(error, request, view)
    return str(error.detail)


def _is_given(error: exceptions.APIException) -> bool:
    return str(error.detail) != str(error.default_detail)


def _method(error: Any, request: Any, view: Any) -> str:
    allowed = ", ".join(view.allowed_methods) or "nothing"
    return f"{request.path} does not accept {request.method}. Use {allowed}."


def _media_type(error: Any, request: Any, view: Any) -> str:
    given = request.content_type
    if given:
        problem = f"The body has the type {given[:100]}, which the API does not read."
    else:
        problem = "The body has no type."
    return f"{problem} Send JSON with the header Content-Type: application/json."


def _accept(error: Any, request: Any, view: Any) -> str:
    kinds = " or ".join(each.media_type for each in view.renderer_classes)
    return f"{request.path} is not available in the type of the header Accept. Use {kinds}."


def _nothing(error: Any, request: Any, view: Any) -> str:
    if _is_given(error):
        return str(error.detail)
    asked = request.query_params.get("format")
    if asked is not None:
        known = " or ".join(each.format for each in view.renderer_classes)
        return f"The format {asked[:100]!r} does not exist. Leave format out, or use {known}."
    return f"Nothing at {request.path} is visible to you."


def _forbidden(error: Any, request: Any, view: Any) -> str:
    detail = str(error.detail)
    if detail.startswith(_CSRF):
        reason = detail.removeprefix(_CSRF).rstrip(".")
        return (
            f"{request.method} with the login of a page requires the header X-CSRFToken "
            f"({reason}). Programs send a token as Authorization: Bearer cvy_... instead."
        )
    return detail if _is_given(error) else f"You may not send {request.method} to {request.path}."


def _throttled(error: Any, request: Any, view: Any) -> str:
    wait = f"{error.wait:g} seconds" if error.wait else "a while"
    return f"Too many requests to {request.path}. Try again in {wait}."


def _unreadable(error: Any, request: Any, view: Any) -> str:
    if _is_given(error):
        return str(error.detail)
    return "The body cannot be read. Send JSON, such as {}."


_Describe = Callable[[Any, Any, Any], str]
_MESSAGES: tuple[tuple[type[exceptions.APIException], _Describe], ...] = (
    (exceptions.MethodNotAllowed, _method),
    (exceptions.UnsupportedMediaType, _media_type),
    (exceptions.NotAcceptable, _accept),
    (exceptions.NotFound, _nothing),
    (exceptions.PermissionDenied, _forbidden),
    (exceptions.Throttled, _throttled),
    (exceptions.ParseError, _unreadable),
)
