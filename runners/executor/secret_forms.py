"""The forms in which a secret may appear in a log.

The list follows the encoders of GitHub's and Buildkite's runners: what shells, programs and
protocols do to a value by themselves. It stops accidents, not malice.
"""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_from_bytes, quote_plus
from xml.sax.saxutils import escape

#: Shorter secrets are not masked: they would mask ordinary words.
SHORTEST_BYTES = 6
#: A line of a secret of several lines is masked alone from this length.
SHORTEST_LINE_BYTES = 8


def forms_of(secrets: Iterable[bytes]) -> tuple[bytes, ...]:
    """Return every form of every secret, longest first, each at least 6 bytes."""
    found: set[bytes] = set()
    for secret in secrets:
        found.update(_forms_of_one(secret))
        stripped = secret.strip()
        if stripped != secret:
            found.update(_forms_of_one(stripped))
    return tuple(sorted((each for each in found if len(each) >= SHORTEST_BYTES), key=_longest))


def _longest(form: bytes) -> tuple[int, bytes]:
    return -len(form), form


def _forms_of_one(secret: bytes) -> Iterator[bytes]:
    if len(secret) < SHORTEST_BYTES:
        return
    yield secret
    yield from _line_forms(secret)
    yield from _base64_forms(secret)
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for escaped in (quote_from_bytes(secret), quote_from_bytes(secret, safe="")):
        yield escaped.encode()
        yield _lower_percent(escaped).encode()
    try:
        text = secret.decode()
    except UnicodeDecodeError:
        return
    yield from (form.encode() for form in _text_forms(text))


def _line_forms(secret: bytes) -> Iterator[bytes]:
    lines = secret.splitlines()
    if len(lines) < 2:
        return
    yield b"\n".join(lines)
    yield b"\r\n".join(lines)
    for line in lines:
        if len(line.strip()) >= SHORTEST_LINE_BYTES:
            yield line.strip()


def _base64_forms(secret: bytes) -> Iterator[bytes]:
    """Yield base64 and base64url, whole and as they stand inside an encoding of a longer text.

    The first and the last character may also hold bits of neighbours, at each of 3 alignments.
    """
    for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
        whole = encode(secret)
        yield whole
        yield whole.rstrip(b"=")
        for shift in range(3):
            encoded = encode(bytes(shift) + secret)
            first = -(-shift * 8 // 6)
            yield encoded[first : (shift + len(secret)) * 8 // 6]


def _text_forms(text: str) -> Iterator[str]:
    for ascii_only in (True, False):
        dumped = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield dumped
        yield dumped.replace("/", "\\/")
        # A JSON document inside a JSON string.
        yield json.dumps(dumped, ensure_ascii=ascii_only)[1:-1]
    yield quote_plus(text)
    yield _lower_percent(quote_plus(text))
    yield quote(text, safe="~()*!'")
    yield from _xml_forms(text)
    yield from _shell_forms(text)


def _xml_forms(text: str) -> Iterator[str]:
    yield escape(text)
    for apostrophe in ("&apos;", "&#39;", "&#x27;", "'"):
        for mark in ("&quot;", "&#34;"):
            yield escape(text, {"'": apostrophe, '"': mark})


def _shell_forms(text: str) -> Iterator[str]:
    yield shlex.quote(text)
    yield shlex.quote(text).strip("'")
    # What bash prints in traces and with printf %q, and what stands inside double quotes.
    yield text.replace("'", "'\\''")
    yield "".join(f"\\{char}" if not _is_plain(char) else char for char in text)
    yield "".join(f"\\{char}" if char in '$`"\\' else char for char in text)
    ansi = text.replace("\\", "\\\\").replace("'", "\\'")
    yield ansi.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    yield text.replace('"', '""')


def _is_plain(char: str) -> bool:
    return char.isalnum() or char in "_-./:=@%+" or ord(char) > 127


def _lower_percent(quoted: str) -> str:
    parts = quoted.split("%")
    return "%".join([parts[0], *(part[:2].lower() + part[2:] for part in parts[1:])])
