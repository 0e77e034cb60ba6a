"""Logs: pieces in order, each once, only while the attempt is alive."""

from __future__ import annotations

import hashlib
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from products.identifiers import uuid7
from runs.errors import LogPieceError
from runs.logs import ChunkToStore, append_chunks, read_log
from runs.models import Attempt, LogChunk
from tests import builders
from tests.engine import attempt

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def pieces(*texts: bytes, first: int = 0, offset: int = 0) -> list[ChunkToStore]:
    """Return pieces of standard output that follow one another."""
    made = []
    for sequence, text in enumerate(texts, start=first):
        made.append(ChunkToStore(sequence, "stdout", offset, text))
        offset += len(text)
    return made


def text_of(living: Attempt) -> bytes:
    return b"".join(piece.data for piece in read_log(living))


def test_pieces_are_read_in_order_with_their_streams_and_offsets() -> None:
    living = builders.an_attempt()
    assert append_chunks(
        living.id,
        [ChunkToStore(0, "stdout", 0, b"one\n"), ChunkToStore(1, "stderr", 4, b"two\n")],
    )
    assert append_chunks(living.id, [ChunkToStore(2, "control", 8, b"three\n")])
    assert [(each.sequence, each.stream, each.offset) for each in read_log(living)] == [
        (0, "stdout", 0),
        (1, "stderr", 4),
        (2, "control", 8),
    ]
    assert text_of(living) == b"one\ntwo\nthree\n"
    assert attempt(living.id).log_bytes == 14


def test_pieces_are_read_in_portions() -> None:
    living = builders.an_attempt()
    append_chunks(living.id, pieces(*[b"x"] * 10))
    assert [each.sequence for each in read_log(living, after=3, limit=4)] == [4, 5, 6, 7]
    assert read_log(living, after=9) == []


def test_pieces_that_come_again_change_nothing() -> None:
    living = builders.an_attempt()
    sent = pieces(b"one\n", b"two\n", b"three\n")
    assert append_chunks(living.id, sent[:2])
    assert append_chunks(living.id, sent)
    assert append_chunks(living.id, sent[:1])
    assert text_of(living) == b"one\ntwo\nthree\n"
    assert attempt(living.id).log_bytes == 14


def test_the_first_of_two_pieces_of_one_number_stays() -> None:
    living = builders.an_attempt()
    append_chunks(living.id, pieces(b"first"))
    append_chunks(living.id, pieces(b"other"))
    assert text_of(living) == b"first"


def test_pieces_that_come_in_any_order_are_read_in_theirs() -> None:
    living = builders.an_attempt()
    sent = pieces(*[f"{number}\n".encode() for number in range(20)])
    for piece in sorted(sent, key=lambda each: each.sequence * 7 % 20):
        append_chunks(living.id, [piece])
    assert text_of(living) == b"".join(piece.data for piece in sent)


@pytest.mark.parametrize("state", ["succeeded", "failed", "errored", "cancelled"])
def test_nothing_is_written_for_an_attempt_that_has_ended(state: str) -> None:
    ended = builders.an_attempt(state=state, log_bytes=3)
    assert not append_chunks(ended.id, pieces(b"late"))
    assert not append_chunks(ended.id, [])
    assert not LogChunk.objects.exists()
    assert attempt(ended.id).log_bytes == 3


def test_nothing_is_written_for_an_attempt_that_never_was() -> None:
    assert not append_chunks(uuid7(), pieces(b"whose"))
    assert not append_chunks(uuid7(), [])


@pytest.mark.parametrize("state", ["starting", "running"])
def test_an_attempt_that_is_alive_takes_pieces_even_before_its_start(state: str) -> None:
    living = builders.an_attempt(state=state)
    assert append_chunks(living.id, [])
    assert append_chunks(living.id, pieces(b"checkout\n"))
    assert text_of(living) == b"checkout\n"


@given(st.lists(st.binary(max_size=700), max_size=6))
@settings(max_examples=30, deadline=None)
def test_log_bytes_are_stored_unchanged(texts: list[bytes]) -> None:
    living = builders.an_attempt()
    append_chunks(living.id, pieces(*texts))
    assert text_of(living) == b"".join(texts)


def test_what_shrinks_is_stored_compressed_and_what_does_not_is_stored_as_it_is() -> None:
    living = builders.an_attempt()
    noise = b"".join(hashlib.sha256(bytes([each])).digest() for each in range(156))
    append_chunks(living.id, pieces(b"short", b"a" * 65_536, noise))
    rows = list(LogChunk.objects.order_by("sequence"))
    assert [row.compressed for row in rows] == [False, True, False]
    assert [row.size for row in rows] == [5, 65_536, 4992]
    assert len(bytes(rows[1].data)) < 1000
    assert text_of(living) == b"short" + b"a" * 65_536 + noise


def test_damaged_log_chunk_is_reported() -> None:
    living = builders.an_attempt()
    append_chunks(living.id, pieces(b"a" * 1000))
    LogChunk.objects.update(data=b"garbage")
    with pytest.raises(LogPieceError, match="Piece 0 of the log"):
        read_log(living)


def test_a_piece_that_would_unpack_to_more_than_it_says_is_cut() -> None:
    living = builders.an_attempt()
    append_chunks(living.id, pieces(b"a" * 1000))
    LogChunk.objects.update(data=zlib.compress(b"b" * 10_000_000))
    assert len(text_of(living)) == 1000


def test_each_attempt_has_a_log_of_its_own() -> None:
    first, second = builders.an_attempt(), builders.an_attempt()
    append_chunks(first.id, pieces(b"first"))
    append_chunks(second.id, pieces(b"second"))
    assert (text_of(first), text_of(second)) == (b"first", b"second")
