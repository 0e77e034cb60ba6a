"""No page shows marks of direction, separators or control characters as they are.

Names of branches, values, commit texts and messages come from repositories and jobs. One that
holds a mark of direction can look like another. Templates escape markup. This middleware escapes
such characters on every page, as logs and the terminal do. The values of form fields stay
unchanged, because browsers send them back.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

# Control characters but for tab, newline and return; marks and overrides of direction; separators.
_HIDDEN = "[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
# In text, templates escape the quotation marks: only an attribute can look like this.
_FIELD = r"<textarea\b.*?</textarea>|(?<=\s)value=\"[^\"]*\""
_FIELD_OR_HIDDEN = re.compile(f"(?P<field>{_FIELD})|{_HIDDEN}", re.DOTALL)
_ANY_HIDDEN = re.compile(_HIDDEN)


class VisibleTextMiddleware:
    """Shows such characters of pages as escapes, as in \\u202e."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Return the answer; only pages of HTML are looked at."""
        response = self.get_response(request)
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        if is_page and isinstance(response, HttpResponse):
            text = response.content.decode(response.charset)
            if _ANY_HIDDEN.search(text):
                response.content = _FIELD_OR_HIDDEN.sub(_shown, text)
        return response


def _shown(match: re.Match[str]) -> str:
    return match["field"] or match[0].encode("unicode_escape").decode()
