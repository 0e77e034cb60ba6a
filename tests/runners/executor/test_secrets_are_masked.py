"""Secrets in every form, cut at every place, never leave the masker."""

from __future__ import annotations

import base64
import json
import random
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape, quoteattr

import pytest

from runners.executor.masking import MASK, Masker
from tests.runners.executor.attempts import Lab

SECRET = "p@ss'w\"ord/<&>+ $x\\é?"
RAW = SECRET.encode()
FORMS: dict[str, Callable[[bytes], bytes]] = {
    "raw": bytes,
    "base64": base64.b64encode,
    "base64 without padding": lambda s: base64.b64encode(s).rstrip(b"="),
    "base64url": base64.urlsafe_b64encode,
    "hex": lambda s: s.hex().encode(),
    "HEX": lambda s: s.hex().upper().encode(),
    "JSON": lambda s: json.dumps(s.decode())[1:-1].encode(),
    "JSON in UTF-8": lambda s: json.dumps(s.decode(), ensure_ascii=False)[1:-1].encode(),
    "JSON in JSON": lambda s: json.dumps(json.dumps(s.decode()))[3:-3].encode(),
    "URL": lambda s: quote(s).encode(),
    "URL component": lambda s: quote(s, safe="").encode(),
    "form": lambda s: quote_plus(s.decode()).encode(),
    "XML": lambda s: escape(s.decode()).encode(),
    "XML attribute": lambda s: quoteattr(s.decode())[1:-1].encode(),
    "shell": lambda s: shlex.quote(s.decode())[1:-1].encode(),
    "shell, double quotes": lambda s: b"".join(
        b"\\" + bytes([c]) if c in b'$`"\\' else bytes([c]) for c in s
    ),
}


def masked(secrets: list[bytes], *pieces: bytes) -> bytes:
    masker = Masker(secrets)
    return b"".join(map(masker.feed, pieces)) + masker.flush()


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_masked_at_every_split(form: str) -> None:
    shown = FORMS[form](RAW)
    text = b"before [" + shown + b"] after\n"
    expected = b"before [" + MASK + b"] after\n"
    for split in range(len(text) + 1):
        assert masked([RAW], text[:split], text[split:]) == expected
    assert masked([RAW], *(bytes([byte]) for byte in text)) == expected


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("shift", range(3))
@pytest.mark.parametrize("rest", range(3))
def test_base64_of_a_longer_text_is_masked_at_each_alignment(
    encode: Callable[[bytes], bytes], shift: int, rest: int
) -> None:
    secret = b"correct-horse-battery"
    text = encode(b"u:x"[:shift] + secret + b"\n--"[:rest])
    for split in range(len(text) + 1):
        shown = masked([secret], text[:split], text[split:])
        # At most the characters that also hold bits of neighbours stay.
        assert len(shown.replace(MASK, b"").rstrip(b"=")) <= 4 + rest + shift


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_a_key_of_several_lines_is_masked_whole_and_line_by_line(newline: bytes) -> None:
    lines = [b"-----BEGIN KEY-----", b"MIIEowIBAAKCAQEAx", b"7bq9dd2kzUVu", b"end"]
    key = b"\n".join(lines) + b"\n"
    assert masked([key], b"<" + newline.join(lines) + b">") == b"<" + MASK + b">"
    assert masked([key], b"x 7bq9dd2kzUVu y") == b"x " + MASK + b" y"
    assert masked([key], b"the end") == b"the end"
    assert masked([key], json.dumps(key.decode()).encode()) in (
        b'"' + MASK + b'"',
        b'"' + MASK + b'\\n"',
    )


def test_short_secrets_are_not_masked() -> None:
    assert masked([b"12345"], b"12345 times") == b"12345 times"


def test_bytes_that_are_no_text_pass_unchanged() -> None:
    data = bytes(range(256)) * 3
    assert masked([b"\xff\xfe\x00secret", RAW], data) == data
    assert masked([b"\xff\xfe\x00secret"], b"a\xff\xfe", b"\x00secretb") == b"a" + MASK + b"b"


def test_what_comes_out_does_not_depend_on_the_cuts() -> None:
    # A small alphabet and overlapping secrets, so that partial matches are everywhere.
    chance = random.Random(7)  # noqa: S311 - no secret is made
    for _round in range(150):
        secrets = [bytes(chance.choices(b"ab", k=chance.randint(6, 9))) for _ in range(3)]
        text = bytes(chance.choices(b"ab", k=120))
        whole = masked(secrets, text)
        cuts = sorted(chance.sample(range(len(text)), 8))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert masked(secrets, *pieces) == whole
        assert all(secret not in whole for secret in secrets)


def test_only_a_possible_beginning_is_held_back() -> None:
    masker = Masker([b"secret-value"])
    assert masker.feed(b"log line sec") == b"log line "
    assert masker.feed(b"ond") == b"second"
    assert masker.flush() == b""
    assert Masker([]).feed(b"anything") == b"anything"


def test_a_stream_of_nothing_but_the_secret_holds_little() -> None:
    masker = Masker([b"aaaaaa"])
    out = [masker.feed(b"a" * 1000) for _ in range(20)]
    assert b"".join(out) + masker.flush() == MASK


def test_a_text_is_masked_as_a_whole() -> None:
    masker = Masker([b"secret-value"])
    assert masker.mask("the secret-value, é") == "the ••••, é"
    assert masker.reveals(b"x=" + base64.b64encode(b"secret-value"))
    assert not masker.reveals(b"nothing")


def test_a_job_cannot_print_its_credential_by_accident(lab_of_each_level: Lab) -> None:
    lab = lab_of_each_level
    result = lab.run(
        'set -x; echo "$TOKEN"; printf %s "$TOKEN" | base64; printf %s "$TOKEN" | od -An -tx1'
        ' | tr -d " \\n"; for part in s3cr3 t-val ue-of; do printf %s $part; sleep 0.05; done;'
        ' printf %q "$TOKEN x"; ls "/$TOKEN"',
        environment={"TOKEN": "s3cr3t-value-of"},
        secret_values=(b"s3cr3t-value-of",),
    )
    log = lab.reporter.bytes()
    assert result.outcome == "failed"
    for trace in (b"s3cr3t-value-of", base64.b64encode(b"s3cr3t-value-of")[:12], b"73336372"):
        assert trace not in log
    assert log.count(MASK) >= 6
