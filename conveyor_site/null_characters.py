"""Addresses with a NUL, which PostgreSQL refuses in every text."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.urls import reverse


class NullCharacterError(BadRequest):
    """The address of a request has a NUL."""

    def __init__(self) -> None:
        super().__init__("The address has a NUL character (%00). Remove it.")


class NullCharacterMiddleware:
    """Refuses such addresses in the admin, whose views pass values to queries unchecked.

    The pages and the API check each value themselves.
    """

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Return the answer; raises NullCharacterError."""
        query = unquote(request.META.get("QUERY_STRING", ""))
        if request.path_info.startswith(reverse("admin:index")) and (
            "\0" in request.path_info or "\0" in query
        ):
            raise NullCharacterError
        return self.get_response(request)
