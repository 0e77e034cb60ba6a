"""Logs: whole, in order, in time, capped, and flat in memory."""

from __future__ import annotations

import hashlib
import resource
from collections.abc import Sequence

import pytest

from runners.executor.log_stream import CHUNK_BYTES, LogStream
from runners.executor.shapes import Limits, LogChunk, Timing
from tests.runners.executor.attempts import Lab

MIB = 1024 * 1024


def check_whole(chunks: Sequence[LogChunk], size: int, digest: str) -> bytes:
    """Return the log put together; fail unless numbers, offsets, size and digest agree."""
    log = b"".join(chunk.data for chunk in chunks)
    assert [chunk.sequence for chunk in chunks] == list(range(len(chunks)))
    offset = 0
    for chunk in chunks:
        assert chunk.offset == offset
        assert 0 < len(chunk.data) <= CHUNK_BYTES
        offset += len(chunk.data)
    assert (size, digest) == (len(log), hashlib.sha256(log).hexdigest())
    return log


def a_stream(sent: list[LogChunk], *, cap: int = 64 * MIB, flush_s: float = 60.0) -> LogStream:
    def send(chunks: Sequence[LogChunk]) -> bool:
        sent.extend(chunks)
        return True

    timing = Timing(flush_s=flush_s, slow_flush_s=max(60.0, flush_s))
    return LogStream(send, cap_bytes=cap, timing=timing)


def test_ten_megabytes_arrive_whole(lab: Lab) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    script = "for x in range(100000): print(f'{x:07} ' + 'x' * 91)"
    result = lab.run(script, language="python")
    log = check_whole(lab.reporter.chunks, result.log_bytes, result.log_sha256)
    assert log == b"".join(b"%07d " % x + b"x" * 91 + b"\n" for x in range(100000))
    # The recorder itself keeps the log, and this test builds it twice.
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 80 * 1024


def test_invalid_utf8_and_endless_lines_are_kept(lab: Lab) -> None:
    script = (
        "import os\n"
        "os.write(1, bytes(range(256)) * 1000)\n"
        "for _ in range(20): os.write(1, b'y' * 50000)\n"
    )
    result = lab.run(script, language="python")
    log = check_whole(lab.reporter.chunks, result.log_bytes, result.log_sha256)
    assert log == bytes(range(256)) * 1000 + b"y" * 1_000_000


def test_a_log_beyond_its_cap_is_marked_and_the_job_goes_on(lab: Lab) -> None:
    result = lab.run(
        "head -c 3000000 /dev/zero; echo done > flag; cat flag; [ -e flag ]",
        limits=Limits(log_bytes=MIB),
        post_run="echo not shown; exit 1",
    )
    log = check_whole(lab.reporter.chunks, result.log_bytes, result.log_sha256)
    marker = b"\n[log truncated at 1 MiB]\n"
    assert log[: MIB + len(marker)] == bytes(MIB) + marker
    assert b"done" not in log
    assert b"post-run ended with exit status 1" in log


def test_both_streams_flood_and_nothing_is_lost(lab: Lab) -> None:
    script = (
        "(for i in $(seq 20000); do echo out; done) &"
        " for i in $(seq 20000); do echo err >&2; done; wait"
    )
    result = lab.run(script)
    check_whole(lab.reporter.chunks, result.log_bytes, result.log_sha256)
    assert lab.reporter.bytes("stdout") == b"out\n" * 20000
    assert lab.reporter.bytes("stderr") == b"err\n" * 20000


def test_the_first_bytes_after_a_pause_go_at_once() -> None:
    sent: list[LogChunk] = []
    stream = a_stream(sent)
    stream.write("stdout", b"first")
    stream.flush_if_due()
    assert [chunk.data for chunk in sent] == [b"first"]
    stream.write("stdout", b"second")
    stream.flush_if_due()
    assert len(sent) == 1
    assert stream.due is not None


def test_a_full_chunk_does_not_wait() -> None:
    sent: list[LogChunk] = []
    stream = a_stream(sent)
    stream.flush()
    stream.write("stdout", b"x")
    stream.flush_if_due()
    stream.write("stdout", b"y" * CHUNK_BYTES)
    assert sum(len(chunk.data) for chunk in sent) == CHUNK_BYTES + 1
    assert stream.due is None


def test_the_platforms_sentences_wait_for_company_and_start_a_line() -> None:
    sent: list[LogChunk] = []
    stream = a_stream(sent)
    stream.say("Checked out.")
    stream.flush_if_due()
    assert sent == []
    stream.write("stdout", b"half a line")
    stream.say("Cancelled.")
    stream.flush()
    assert [(chunk.stream, chunk.data) for chunk in sent] == [
        ("control", b"Checked out.\n"),
        ("stdout", b"half a line"),
        ("control", b"\nCancelled.\n"),
    ]


def test_a_lost_attempt_stops_sending() -> None:
    calls: list[int] = []

    def refuse(chunks: Sequence[LogChunk]) -> bool:
        calls.append(len(chunks))
        return False

    stream = LogStream(refuse, cap_bytes=MIB, timing=Timing(flush_s=0.0))
    for _ in range(3):
        stream.write("stdout", b"x" * CHUNK_BYTES)
    assert (len(calls), stream.lost) == (1, True)


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * MIB])
def test_figures_agree_for_any_size(size: int) -> None:
    sent: list[LogChunk] = []
    stream = a_stream(sent)
    stream.write("stdout", b"z" * size)
    sent.extend(stream.take())
    assert len(check_whole(sent, stream.size, stream.sha256)) == size
