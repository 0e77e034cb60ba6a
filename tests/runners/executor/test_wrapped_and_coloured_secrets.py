"""Secrets that programs break into lines, indent, colour, or take out of a file of settings."""

from __future__ import annotations

import base64
import json
import random
import re
import textwrap
from collections.abc import Callable

import pytest

from runners.executor.masking import MASK, Masker
from tests.runners.executor.attempts import Lab

KEY = b"-----BEGIN KEY-----\n" + b"\n".join(
    base64.b64encode(bytes(range(at, at + 48))) for at in range(0, 200, 48)
)
LONG = b"a-token-that-is-longer-than-one-line-of-base64-which-has-57-bytes"
WRAPS: dict[str, Callable[[bytes], bytes]] = {
    "base64": base64.encodebytes,
    "openssl": lambda s: _wrapped(base64.b64encode(s), 64, b"\n"),
    "MIME": lambda s: _wrapped(base64.b64encode(s), 76, b"\r\n"),
    "YAML": lambda s: _wrapped(base64.b64encode(s), 64, b"\n      "),
    "URL-safe": lambda s: _wrapped(base64.urlsafe_b64encode(s), 40, b"\n"),
    "xxd -p": lambda s: _wrapped(s.hex().encode(), 60, b"\n"),
    "od -An -tx1": lambda s: _wrapped(s.hex(" ").encode(), 48, b"\n "),
}
GAPS = (b"\n", b"\r\n\t", b" ", b"\x1b[01;31m", b"\x1b[K", b"\x1b[m\n", b"\x1b(B")


def _wrapped(text: bytes, width: int, end: bytes) -> bytes:
    return end.join(text[at : at + width] for at in range(0, len(text), width)) + b"\n"


def masked(secrets: list[bytes], *pieces: bytes) -> bytes:
    masker = Masker(secrets)
    return b"".join(map(masker.feed, pieces)) + masker.flush()


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("secret", [KEY, LONG], ids=["key", "token"])
def test_what_is_broken_into_lines_is_masked_at_every_split(wrap: str, secret: bytes) -> None:
    text = b"before:\n" + WRAPS[wrap](secret) + b"~after\n"
    whole = masked([secret], text)
    assert whole.replace(b"=", b"") in (
        b"before:\n" + MASK + b"\n~after\n",
        b"before:\n" + MASK + b"\n \n~after\n",
    )
    for split in range(len(text) + 1):
        assert masked([secret], text[:split], text[split:]) == whole


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("before", range(60))
def test_each_occurrence_in_a_block_is_masked_wherever_its_lines_end(
    wrap: str, before: int
) -> None:
    filling = b"~" * 100
    text = WRAPS[wrap](filling[:before] + KEY + filling + KEY + filling)
    shown = masked([KEY], text)
    assert shown.count(MASK) == 2
    # Little more is left than the filling, in base64 or with blanks between.
    assert len(shown) <= len(WRAPS[wrap](filling[:before] + 2 * filling)) + 2 * len(MASK) + 12


def test_a_line_is_not_held_back_for_its_last_character() -> None:
    masker = Masker([b"secret-value"])
    first = base64.b64encode(b"secret-value")[:1]
    assert masker.feed(b"waiting " + first + b"\n") == b"waiting " + first + b"\n"


def test_blanks_without_end_are_not_held_back() -> None:
    masker = Masker([b"secret-value"])
    begun = base64.b64encode(b"secret-value")[:5]
    shown = len(masker.feed(begun))
    for piece in range(100):
        shown += len(masker.feed(b" " * 1000))
        assert shown >= (piece + 1) * 1000 - 10_000
    assert masked([b"secret-value"], b"\x1b[" + b"1;" * 9000) == b"\x1b[" + b"1;" * 9000


@pytest.mark.parametrize("gap", GAPS[3:5])
def test_a_value_with_a_colour_in_it_is_masked_at_every_split(gap: bytes) -> None:
    text = b"x s3cr3t" + gap + b"-va" + gap + gap + b"lue y\n"
    for split in range(len(text) + 1):
        assert masked([b"s3cr3t-value"], text[:split], text[split:]) == b"x " + MASK + b" y\n"
    each = b"".join(gap + bytes([byte]) for byte in b"s3cr3t-value")
    assert masked([b"s3cr3t-value"], each) == gap + MASK


def test_a_value_that_has_colours_itself_is_masked() -> None:
    secret = b"one\x1b[31mtwo-three"
    assert masked([secret], b"<" + secret + b">") == b"<" + MASK + b">"


def test_other_text_keeps_its_colours_and_line_ends() -> None:
    text = b"\x1b[1mbold\x1b[0m\r\n  plain \x1b]8;;x\x07link\x1b]8;;\x07 \x1b\x1b[ \x1b"
    assert masked([LONG], text) == text
    assert masked([LONG], *(bytes([byte]) for byte in text)) == text


def test_what_comes_out_does_not_depend_on_the_cuts() -> None:
    chance = random.Random(11)  # noqa: S311 - no secret is made
    for _round in range(300):
        secret = bytes(chance.choices(b"ab", k=chance.randint(6, 8)))
        forms = [secret, base64.b64encode(secret), secret.hex().encode(), b"a", b"b"]
        text = b"".join(
            chance.choice(GAPS) if chance.random() < 0.1 else bytes([byte])
            for form in chance.choices(forms, k=20)
            for byte in form
        )
        whole = masked([secret], text)
        cuts = sorted(chance.sample(range(len(text)), 8))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert masked([secret], *pieces) == whole
        without_colours = re.sub(rb"\x1b(\[[0-9;]*[A-Za-z]|\(B)", b"", whole)
        assert secret not in without_colours
        assert base64.b64encode(secret) not in re.sub(rb"\s", b"", without_colours)


# --- Parts of files -------------------------------------------------------------------------------
SETTINGS = """\
    # the password is written below
    [default]
    host = localhost
    user: deploy-user
    password = hunter22
    db_password: 'two words'
    machine github.com login ada password swordfish
    //registry.example/:_authToken=npm-token-1
    {"auth": "YWRhOnBhc3M=", "client_secret": "abc-def"}
    https://ada:tr0ub4dor@git.example/x.git
    db.example:5432:app:ada:pg:pass:word
    certificate-data: aGVsbG8gd29ybGQgMTIzNDU2Nzg5MA
    public_key = ssh-ed25519 x
    aws_access_key_id=AKIA1234
"""


@pytest.mark.parametrize(
    "word",
    [
        "hunter22",
        "two words",
        "swordfish",
        "npm-token-1",
        "YWRhOnBhc3M=",
        "abc-def",
        "tr0ub4dor",
        "pg:pass:word",
        "aGVsbG8gd29ybGQgMTIzNDU2Nzg5MA",
        "AKIA1234",
    ],
)
def test_a_password_in_a_file_is_masked_by_itself(word: str) -> None:
    file = textwrap.dedent(SETTINGS).encode()
    assert masked([file], f"using <{word}>".encode()) == b"using <" + MASK + b">"


def test_the_lines_of_a_key_in_a_file_of_json_are_masked() -> None:
    file = json.dumps({"private_key": KEY.decode(), "type": "service_account"}, indent=2).encode()
    shown = masked([file], b"type service_account\n" + KEY)
    assert shown.count(MASK) == 6 - 1
    assert shown.startswith(b"type service_account\n-----BEGIN KEY-----\n" + MASK)


@pytest.mark.parametrize(
    "word",
    ["default", "localhost", "deploy-user", "github.com", "password", "written", "ssh-ed25519"],
)
def test_ordinary_words_of_a_file_are_left(word: str) -> None:
    file = textwrap.dedent(SETTINGS).encode()
    assert masked([file], f"using <{word}>".encode()) == f"using <{word}>".encode()


def test_a_job_cannot_print_a_key_by_accident(lab: Lab) -> None:
    lab.run(
        'printf "%s\\n" "$KEY" > key; base64 key; (echo x; cat key key) | base64;'
        ' printf "%s" "$LONG" | grep --color=always token; base64 -w 10 key',
        environment={"KEY": KEY.decode(), "LONG": LONG.decode()},
        secret_values=(KEY, LONG),
    )
    log = lab.reporter.bytes()
    assert log.count(MASK) >= 5
    left = re.sub(rb"\s", b"", log)
    for text in (KEY, LONG, b"x\n" + KEY):
        encoded = base64.b64encode(text)
        assert not any(encoded[at : at + 12] in left for at in range(4, len(encoded) - 16))
    assert b"longer-than" not in log
