"""The API's root, its documentation, and the answer to unknown paths."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.routers import APIRootView
from rest_framework.views import APIView

from conveyor_site.api.schema import TokenScheme

__all__ = ["ApiRoot", "DocsView", "NothingHere", "TokenScheme"]


_DOCUMENTATION = "All addresses are listed at /api/v1/docs/."


class ApiRoot(APIRootView):
    """All lists of the API. Send a token as `Authorization: Bearer cvy_...`."""

    scope = "read"
    schema = None


class NothingHere(APIView):
    """Answers unknown paths of the API with an error of the API."""

    permission_classes = [AllowAny]
    authentication_classes = []
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Raise NotFound whatever the method."""
        has_slash = request.path.endswith("/")
        hint = _DOCUMENTATION if has_slash else "Paths of the API end with a slash."
        raise NotFound(f"There is nothing at {request.path}. {hint}")


class DocsView(SpectacularSwaggerSplitView):
    """The description as a page of the site, shown by Swagger UI; `?script=` is what starts it.

    Errors have the shape of the API's, not that of the library's templates.
    """

    scope = "read"
    schema = None
    template_name = "conveyor_site/api_docs.html"
    authentication_classes = APIView.authentication_classes
    permission_classes = APIView.permission_classes
    renderer_classes = list(APIView.renderer_classes)

    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        """Return the page or its script."""
        answer = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]  # untyped package
        page = render(
            request._request, answer.template_name, answer.data, content_type=answer.content_type
        )
        # The script has the token of forms, which no other site may read.
        page["Cross-Origin-Resource-Policy"] = "same-origin"
        return page
