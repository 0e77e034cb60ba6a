"""The row about logs: a long log is stored and read, and the memory of the runner does not grow."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from belts.spec.shapes import JobSpec
from bench.figures import Goal, Row
from bench.processes import NotMeasuredError, pss_mb
from bench.site import LEVEL, Site
from runs.logs import read_log
from runs.models import Attempt, BeltRun

LINES = 100_000
LINE_BYTES = 100

#: Lines with numbers of their own in them, as compilers write, which compress as logs do.
_COMMAND = (
    f"awk 'BEGIN {{ for (n = 1; n <= {LINES}; n++) "
    'printf "%06d %013.6f compiling src/module_%04d/file_%06x.c with -O2 -Wall -ggdb3; '
    'took %07d us\\n", n, n * 1.618034, n * 7919 % 9973, n * 26544 % 16777213, '
    "n * 104729 % 9999991 }'"
)
_SAMPLE_EVERY_S = 0.03


def log(site: Site, rounds: int) -> Row:
    """Measure how long it takes until a long log has been stored and read back."""
    belt = site.add_belt("log", [JobSpec("job", commands=_COMMAND)])
    ours, theirs = [], []
    for _ in range(rounds):
        theirs.append(_piped(site))
        begun = time.monotonic()
        run, _ = site.run(belt, look_every_s=0.01)
        _read_back(run)
        ours.append(time.monotonic() - begun)
    return Row(
        name="log",
        what=f"{LINES:,} lines, {LINES * LINE_BYTES // 1_000_000} MB of log, stored and read back",
        reference_is="the same command, piped to a file and fsync",
        unit="s",
        goal=Goal(10),
        level=LEVEL,
        ours=ours,
        reference=theirs,
    )


def log_memory(site: Site, rounds: int) -> Row:
    """Measure what such a log adds to the memory of the runner's processes."""
    belt = site.add_belt("log-memory", [JobSpec("job", commands=_COMMAND)])
    before, peaks = [], []
    for _ in range(rounds):
        before.append(pss_mb(site.runner))
        with _sampled(site.runner) as seen:
            site.run(belt)
        peaks.append(max(seen, default=before[-1]))
    return Row(
        name="log-memory",
        what="the runner's memory (PSS) at its highest during that log",
        reference_is="the same before it",
        unit="MB",
        goal=Goal(1.1),
        level=LEVEL,
        ours=peaks,
        reference=before,
    )


def _piped(site: Site) -> float:
    begun = time.monotonic()
    with (
        (site.folder / "log").open("wb") as file,
        subprocess.Popen(["bash", "-c", _COMMAND], stdout=subprocess.PIPE) as process,
    ):
        if process.stdout is None:
            raise NotMeasuredError("The command has no output.")
        while piece := process.stdout.read(65536):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return time.monotonic() - begun


def _read_back(run: BeltRun) -> None:
    attempt = Attempt.objects.get(job_run__belt_run=run)
    digest, size, after = hashlib.sha256(), 0, -1
    while pieces := read_log(attempt, after=after):
        for piece in pieces:
            digest.update(piece.data)
            size += len(piece.data)
        after = pieces[-1].sequence
    if (size, digest.hexdigest()) != (LINES * LINE_BYTES, attempt.log_sha256):
        raise NotMeasuredError(f"The log was not stored whole: {size} bytes of it.")


@contextmanager
def _sampled(pid: int) -> Iterator[list[float]]:
    """Give a list that fills with the memory of a tree, in MB."""
    seen: list[float] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(_SAMPLE_EVERY_S):
            seen.append(pss_mb(pid))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
