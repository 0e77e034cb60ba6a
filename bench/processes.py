"""Processes of the benchmark: started, measured as trees, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from runners.supervisor.processes import descendants_of

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 120.0

_LEAVE_S = 10.0
_GONE = (FileNotFoundError, ProcessLookupError)
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class NotMeasuredError(Exception):
    """A figure cannot be measured on this machine; the sentence says why."""


def wait_for(done: Callable[[], object], what: str, *, every_s: float = 0.02) -> None:
    """Wait until ``done`` returns something true. Raises NotMeasuredError when it does not come."""
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        if time.monotonic() > deadline:
            raise NotMeasuredError(f"It did not come to pass in {PATIENCE_S:g} s: {what}.")
        time.sleep(every_s)


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a session of its own, its output in ``log``; it is ended afterwards."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, then kill it and whatever is left in its session."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_LEAVE_S)
    with suppress(*_GONE):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def tree_of(pid: int) -> list[int]:
    """Return a process and everything below it."""
    return [pid, *descendants_of(pid)]


def pss_mb(pid: int) -> float:
    """Return the memory of a tree in MB: each shared page counts by its part.

    Raises NotMeasuredError where it may not be read.
    """
    return sum(_pss_kb(each) for each in tree_of(pid)) / 1024


def _pss_kb(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except _GONE:
        return 0
    except PermissionError as error:
        raise NotMeasuredError(
            "The memory of processes that hide their secrets can only be read by root."
        ) from error
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)


def cpu_s(*pids: int) -> float:
    """Return the processor time that trees have used so far, with that of their buried children."""
    return sum(_ticks(each) for pid in pids for each in tree_of(pid)) / _TICKS_A_SECOND


def _ticks(pid: int) -> int:
    with suppress(*_GONE):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15]))
    return 0
