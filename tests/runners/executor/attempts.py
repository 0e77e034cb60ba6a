"""What the tests of the executor share: assignments, a reporter that remembers, named waits."""

from __future__ import annotations

import itertools
import os
import shutil
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from runners.executor.run import run_assignment
from runners.executor.shapes import (
    AttemptResult,
    Isolation,
    JobAssignment,
    LogChunk,
    Orders,
    Timing,
)
from runners.executor.supervisors import Supervisors
from runners.executor.zygote import ZygoteClient
from runners.supervisor.kernel import boot_now

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
# No other test run on this machine takes the same user, nor one of the 19 after it.
JOB_UID = 100_000_000 + 20 * os.getpid()
QUICK = Timing(silence_term_s=20, silence_kill_s=25, grace_s=0.5, orders_s=0.05)
_tokens = itertools.count(1)

LEVELS = ["sandbox-bubblewrap", "sandbox-namespaces", "uid", "none"]


def isolation_of(level: str) -> Isolation | None:
    """Return the isolation of that name as far as this machine and user allow it, else None."""
    uid = JOB_UID if os.geteuid() == 0 else None
    if level == "sandbox-bubblewrap":
        program = shutil.which("bwrap", path=SYSTEM_PATH)
        return Isolation("sandbox", uid, uid, program) if program else None
    if level == "sandbox-namespaces":
        return Isolation("sandbox", uid, uid)
    if level == "uid":
        return Isolation("uid", uid, uid) if uid is not None else None
    return Isolation("none")


class Recorder:
    """A reporter that keeps what it is told; ``on`` calls a function when the log holds a text."""

    def __init__(self, *, may_start: bool = True, watched: int | None = None) -> None:
        self.may_start = may_start
        self.starts = 0
        self.chunks: list[LogChunk] = []
        self.calls: list[int] = []
        self.cancel: str | None = None
        self.stop: str | None = None
        self.lost = False
        self.refuse_log = False
        self.watched = watched
        self.asked = 0
        self.asked_for: Callable[[], object] = lambda: None
        self.ticked_at: float | None = None
        self._awaited: list[tuple[bytes, Callable[[], object]]] = []

    def on(self, text: str, act: Callable[[], object]) -> Recorder:
        self._awaited.append((text.encode(), act))
        return self

    def cancel_it(self) -> None:
        self.cancel = "anna"

    def stop_it(self) -> None:
        self.stop = "the drain limit of 5 s is over"

    def lose_it(self) -> None:
        self.lost = True

    def started(self) -> bool:
        self.starts += 1
        return self.may_start

    def log(self, chunks: Sequence[LogChunk]) -> bool:
        self.chunks.extend(chunks)
        self.calls.append(len(chunks))
        if self._awaited and self._awaited[0][0] in self.bytes():
            self._awaited.pop(0)[1]()
        return not self.refuse_log

    def orders(self) -> Orders:
        self.asked += 1
        self.asked_for()
        ticked_at = boot_now() if self.ticked_at is None else self.ticked_at
        return Orders(ticked_at, cancel=self.cancel, stop=self.stop, lost=self.lost)

    def fileno(self) -> int | None:
        return self.watched

    def bytes(self, stream: str | None = None) -> bytes:
        return b"".join(each.data for each in self.chunks if stream in (None, each.stream))

    def text(self, stream: str | None = None) -> str:
        return self.bytes(stream).decode(errors="replace")


class Lab:
    """Runs attempts in a work folder of its own."""

    def __init__(self, work_dir: Path, zygote: ZygoteClient, isolation: Isolation) -> None:
        self.work_dir = work_dir
        self.zygote = zygote
        self.isolation = isolation
        self.reporter = Recorder()
        self.supervisors: Supervisors | None = None

    def assignment(self, script: str, **fields: Any) -> JobAssignment:
        if "language" in fields:
            fields["shell"] = fields.pop("language")
        fields.setdefault("isolation", self.isolation)
        fields.setdefault("timing", QUICK)
        fields.setdefault("timeout_s", 30.0)
        fields.setdefault("path", SYSTEM_PATH)
        fields.setdefault("attempt_id", str(uuid.uuid4()))
        return JobAssignment(work_dir=str(self.work_dir), script=script, **fields)

    def run(self, script: str, **fields: Any) -> AttemptResult:
        return self.run_assignment(self.assignment(script, **fields))

    def run_assignment(self, assignment: JobAssignment) -> AttemptResult:
        """Run it with the supervisors that are kept, else with a supervisor of its own."""
        if self.supervisors is not None:
            result = run_assignment(assignment, self.reporter, self.supervisors)
        else:
            with Supervisors(self.zygote) as supervisors:
                result = run_assignment(assignment, self.reporter, supervisors)
        self.reporter.chunks.extend(result.last_chunks)
        return result


def new_token() -> str:
    """Return a number of seconds that no other ``sleep`` on this machine sleeps."""
    return f"3600.{os.getpid()}{next(_tokens):04}"


def sleepers(token: str) -> list[int]:
    """Return the living processes that were started with the token among their arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                arguments = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if token.encode() in arguments.split(b"\0"):
                found.append(int(entry.name))
    return found


def wait_until(condition: Callable[[], object], what: str, *, within_s: float = 15.0) -> None:
    """Wait for a condition; fail naming it when it does not come true in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {within_s} s")
        time.sleep(0.02)
