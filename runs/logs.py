"""Logs: pieces in order, each stored once, only while the attempt is alive."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest

from runs.errors import LogPieceError
from runs.models import Attempt, LogChunk
from runs.states import AttemptState

ALIVE = (AttemptState.STARTING, AttemptState.RUNNING)

#: Smaller pieces are not worth compressing.
_COMPRESSED_FROM = 256
#: Fast; the next levels save little on what jobs write.
_LEVEL = 1
#: Pieces are at most 64 KiB; a larger one was not written by a runner.
_PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ChunkToStore:
    """A piece of a log, numbered from 0; ``offset`` is in bytes of the whole log."""

    sequence: int
    stream: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class LogPiece:
    """A stored piece of a log, as the job wrote it."""

    sequence: int
    stream: str
    offset: int
    data: bytes


def append_chunks(attempt_id: UUID, chunks: Sequence[ChunkToStore]) -> bool:
    """Store pieces of an attempt's log; return False when the attempt is not alive any more.

    A piece that is there already is left as it is, so that sending it again changes nothing.
    """
    if not chunks:
        return Attempt.objects.filter(id=attempt_id, state__in=ALIVE).exists()
    last = max(chunks, key=lambda each: each.offset)
    with transaction.atomic():
        # The update is the fence: it fails for an attempt that has ended, and holds its row.
        alive = Attempt.objects.filter(id=attempt_id, state__in=ALIVE)
        end = last.offset + len(last.data)
        if not alive.update(log_bytes=Greatest(F("log_bytes"), end)):
            return False
        insert_chunks(attempt_id, chunks)
    return True


def insert_chunks(attempt_id: UUID, chunks: Sequence[ChunkToStore]) -> None:
    """Insert pieces in the transaction that is open and holds the attempt."""
    rows = [_row(attempt_id, chunk) for chunk in chunks]
    LogChunk.objects.bulk_create(rows, ignore_conflicts=True)


def read_log(attempt: Attempt, *, after: int = -1, limit: int = 100) -> list[LogPiece]:
    """Return the pieces with a sequence greater than ``after``, in order, ``limit`` at most."""
    rows = LogChunk.objects.filter(attempt=attempt, sequence__gt=after).order_by("sequence")
    return [_piece(row) for row in rows[:limit]]


def _row(attempt_id: UUID, chunk: ChunkToStore) -> LogChunk:
    data, compressed = chunk.data, False
    if len(data) >= _COMPRESSED_FROM:
        smaller = zlib.compress(data, _LEVEL)
        if len(smaller) < len(data):
            data, compressed = smaller, True
    return LogChunk(
        attempt_id=attempt_id,
        sequence=chunk.sequence,
        stream=chunk.stream,
        offset=chunk.offset,
        size=len(chunk.data),
        compressed=compressed,
        data=data,
    )


def _piece(row: LogChunk) -> LogPiece:
    data = bytes(row.data)
    if row.compressed:
        data = _decompressed(data, row)
    return LogPiece(row.sequence, row.stream, row.offset, data)


def _decompressed(data: bytes, row: LogChunk) -> bytes:
    try:
        decompressor = zlib.decompressobj()
        return decompressor.decompress(data, max(row.size, 1) if row.size else _PIECE_BYTES)
    except zlib.error as error:
        raise LogPieceError(
            f"Piece {row.sequence} of the log of attempt {row.attempt_id} is damaged in the "
            "database."
        ) from error
