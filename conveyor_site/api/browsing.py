"""The API in a browser: each answer as a page of the site, with the way to send what it takes."""

from __future__ import annotations

import json
from typing import Any

from django.urls import Resolver404, resolve
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer

_ROOT = "/api/v1/"
#: What may lie below a row.
_BELOW = ("start/", "cancel/", "rerun/", "stream/", "log/", "log/stream/")
_REFUSED = (401, 403, 404)


class PageRenderer(BrowsableAPIRenderer):
    """Shows an answer within the frame of the site; markup and script obey its content policy."""

    template = "conveyor_site/api_answer.html"

    def get_context(
        self, data: Any, accepted_media_type: str | None, renderer_context: Any
    ) -> dict[str, Any]:
        """Return what the page shows; no form of the framework is built, which would query."""
        view, request = renderer_context["view"], renderer_context["request"]
        response = renderer_context["response"]
        takes_body = "POST" in view.allowed_methods and response.status_code not in _REFUSED
        return {
            "user": request.user,
            "request": request,
            "crumbs": _crumbs(request.path),
            "description": view.get_view_description(),
            "methods": ", ".join(view.allowed_methods),
            "status": f"{response.status_code} {response.status_text}",
            "answer": self.get_content(JSONRenderer(), data, "application/json", renderer_context),
            "base": request.build_absolute_uri("/"),
            "below": [each for each in _BELOW if _is_there(request.path + each)],
            "body": _example_of(view.get_serializer()) if takes_body else None,
        }


def _crumbs(path: str) -> list[tuple[str, str]]:
    """Return (name, path) of what lies above a path of the API; no path where there is no page."""
    crumbs = [("api/v1", _ROOT)]
    place = _ROOT
    for name in path.removeprefix(_ROOT).split("/"):
        if name:
            place = f"{place}{name}/"
            crumbs.append((name, place if _is_there(place) else ""))
    return crumbs


def _is_there(path: str) -> bool:
    """Return whether the path is one of the API; those that lead nowhere have no name."""
    try:
        return resolve(path).url_name is not None
    except Resolver404:
        return False


def _example_of(serializer: Any) -> str:
    """Return the body with the values that hold where it names none."""
    defaults = {name: field.default for name, field in serializer.fields.items()}
    body = {name: each() if callable(each) else each for name, each in defaults.items()}
    return json.dumps(body, indent=2)
