"""Static files by WhiteNoise, in a form that an ASGI server sends without a warning."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware


class StaticFilesMiddleware(WhiteNoiseMiddleware):  # type: ignore[misc]  # it has no types
    """Answers with whole files: they are small, and Django would read them whole all the same."""

    @staticmethod
    def serve(static_file: Any, request: HttpRequest) -> HttpResponse:
        """Return the file, or the part of it that was asked for."""
        answer = WhiteNoiseMiddleware.serve(static_file, request)
        try:
            content = b"".join(answer.streaming_content)
        finally:
            answer.close()
        return HttpResponse(content, status=answer.status_code, headers=dict(answer.headers))
