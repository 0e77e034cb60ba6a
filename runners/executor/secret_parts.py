"""Parts of a secret that are secrets of their own: passwords in files of settings.

A file credential is seldom printed whole: programs print the password that they read from it.
Which words of a file are passwords can only be guessed. Masked are those that their names, their
place or their looks give away; to mask every value would mask ``default`` and ``localhost``
wherever they stand in a log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_SHORTEST_BYTES = 6
# A name that ends like a secret's, as in client-key-data, aws_secret_access_key, :_authToken.
_NAME = (
    rb"(?<!public)(?<!public[_-])"
    rb"(?:pass(?:word|wd|phrase|code)?|pwd|secret|token|key|auth|credentials?)"
    rb"(?:[_-](?:id|data|base64|b64))?"
)
_VALUE = rb"""(?:"(?P<double>[^"\r\n]+)"|'(?P<single>[^'\r\n]+)'|(?P<bare>[^\s"'][^\s]*))"""
_NAMED = re.compile(_NAME + rb"""["']?[ \t]*(?:=>|:=|[:=])[ \t]*""" + _VALUE, re.IGNORECASE)
_PLACED = (
    # Of .netrc: machine HOST login NAME password WORD.
    re.compile(rb"(?m)^(?!\s*[#;]).*\b(?:password|passwd)[ \t]+(?P<bare>[^\s:=]\S*)"),
    # Of addresses: scheme://NAME:WORD@HOST.
    re.compile(rb"://[^\s/@:]*:(?P<bare>[^\s/@]+)@"),
    # Of .pgpass: HOST:PORT:DATABASE:NAME:WORD.
    re.compile(rb"(?m)^[^\s:#]+:(?:\d+|\*):[^\s:]+:[^\s:]+:(?P<bare>[^\r\n]+)$"),
)
_WORD = re.compile(rb"[A-Za-z0-9+/_=-]{20,}")
_HEX = re.compile(rb"[0-9A-Fa-f]+")
_MARKS = (rb"[a-z]", rb"[A-Z]", rb"[0-9]")


def parts_of(secret: bytes) -> Iterator[bytes]:
    """Yield the words of a secret that are to be masked by themselves."""
    yield from _parts_of_text(secret)
    if rb"\n" in secret:
        # A key of several lines in a string of JSON, which programs write as lines again.
        yield from _parts_of_text(secret.replace(rb"\n", b"\n"))


def _parts_of_text(secret: bytes) -> Iterator[bytes]:
    for pattern in (_NAMED, *_PLACED):
        for found in pattern.finditer(secret):
            yield from _long_enough(next(word for word in found.groups() if word is not None))
    for found in _WORD.finditer(secret):
        if _looks_random(found[0]):
            yield found[0]


def _long_enough(word: bytes) -> Iterator[bytes]:
    """Yield the word, without what ends it in a list."""
    bare = word.rstrip(b",;")
    if len(bare) >= _SHORTEST_BYTES:
        yield bare


def _looks_random(word: bytes) -> bool:
    return bool(_HEX.fullmatch(word)) or all(re.search(mark, word) for mark in _MARKS)
