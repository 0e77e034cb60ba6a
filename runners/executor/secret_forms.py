"""The forms in which a secret may appear in a log.

The list follows the encoders of GitHub's and Buildkite's runners: what shells, programs and
protocols do to a value by themselves. It stops accidents, not malice; what it does not know is
told in THREAT_MODEL.md.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, quote_from_bytes, quote_plus
from xml.sax.saxutils import escape

from runners.executor.secret_parts import parts_of

_TILDE_AFTER_SIGN = re.compile(r"([=:])~")

#: Shorter secrets are not masked: they would mask ordinary words.
SHORTEST_BYTES = 6
#: A line of a secret of several lines is masked alone from this length.
SHORTEST_LINE_BYTES = 8


@dataclass(frozen=True, slots=True)
class Forms:
    """Every form of some secrets, longest first, each at least 6 bytes.

    ``coded`` are those that programs break into lines (base64, hexadecimal); ``exact`` have
    escape characters of their own; ``plain`` is the rest.
    """

    exact: tuple[bytes, ...]
    plain: tuple[bytes, ...]
    coded: tuple[bytes, ...]


def forms_of(secrets: Iterable[bytes]) -> Forms:
    """Return every form of every secret that is long enough to be masked."""
    long_enough = [secret for secret in secrets if len(secret) >= SHORTEST_BYTES]
    wanted = [form for secret in long_enough for form in (secret, secret.strip())]
    plain = {form for secret in wanted for form in _plain_forms(secret)}
    coded = {form for secret in wanted for form in _coded_forms(secret)}
    exact = {form for form in plain if b"\x1b" in form}
    return Forms(_sorted(exact), _sorted(plain - exact), _sorted(coded))


def _sorted(forms: Iterable[bytes]) -> tuple[bytes, ...]:
    long_enough = (form for form in forms if len(form) >= SHORTEST_BYTES)
    return tuple(sorted(long_enough, key=lambda form: (-len(form), form)))


def _plain_forms(secret: bytes) -> Iterator[bytes]:
    yield secret
    yield from _line_forms(secret)
    yield from parts_of(secret)
    for escaped in (quote_from_bytes(secret), quote_from_bytes(secret, safe="")):
        yield escaped.encode()
        yield _lower_percent(escaped).encode()
    try:
        text = secret.decode()
    except UnicodeDecodeError:
        return
    yield from (form.encode() for form in _text_forms(text))


def _coded_forms(secret: bytes) -> Iterator[bytes]:
    if len(secret) < SHORTEST_BYTES:
        return
    yield from _base64_forms(secret)
    yield secret.hex().encode()
    yield secret.hex().upper().encode()


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
    yield from _percent_q_forms(text)
    # The right side of == within [[ ]], as a trace shows it.
    yield "".join(f"\\{char}" for char in text)
    yield "".join(f"\\{char}" if char in '$`"\\' else char for char in text)
    ansi = text.replace("\\", "\\\\").replace("'", "\\'")
    yield ansi.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    yield text.replace('"', '""')


def _percent_q_forms(text: str) -> Iterator[str]:
    """Yield what printf %q prints: ``#`` and ``~`` have a backslash only where a word begins.

    The text may begin a word or stand within one, and ``~`` is one that follows ``=`` or ``:``.
    """
    inner = "".join(char if _is_plain(char) or char in "#~" else f"\\{char}" for char in text)
    assigned = _TILDE_AFTER_SIGN.sub(r"\1\\~", inner)
    for form in (inner, assigned):
        yield form
        if form[:1] in ("#", "~"):
            yield f"\\{form}"


def _is_plain(char: str) -> bool:
    return char.isalnum() or char in "_-./:=@%+" or ord(char) > 127


def _lower_percent(quoted: str) -> str:
    parts = quoted.split("%")
    return "%".join([parts[0], *(part[:2].lower() + part[2:] for part in parts[1:])])
