"""How the API is shown on pages."""

from __future__ import annotations

import re

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()

_CODE = re.compile(r"`+([^`]+)`+")
_ADDRESS = re.compile(
    r'(?<=")((?:https?://[^/"\s]+)?/(?:api/v1|belt-runs|job-runs)/[^"\\\s]*)(?=")'
)


@register.filter
def with_code(text: str) -> SafeString:
    """Show what stands between backticks as code, all else as it is."""
    words = _CODE.split(text)
    return format_html_join(
        "",
        "{}",
        (
            (format_html("<code>{}</code>", word) if index % 2 else word,)
            for index, word in enumerate(words)
        ),
    )


@register.filter
def with_links(document: str, base: str) -> SafeString:
    """Show a JSON document with its addresses of this site, which begin with ``base``, as links."""
    words = _ADDRESS.split(document)
    return format_html_join(
        "",
        "{}",
        ((_linked(word, base) if index % 2 else word,) for index, word in enumerate(words)),
    )


def _linked(address: str, base: str) -> SafeString | str:
    if address.startswith(("/", base)):
        return format_html('<a href="{}">{}</a>', address, address)
    return address
