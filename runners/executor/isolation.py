"""Finding out by trial which isolation level holds on this machine."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from runners.executor.run import run_assignment
from runners.executor.sandbox import private_settings, shown_for
from runners.executor.shapes import (
    AttemptResult,
    Isolation,
    JobAssignment,
    Level,
    LogChunk,
    Orders,
    Timing,
)
from runners.executor.supervisors import Supervisors
from runners.executor.workspace import WorkDirError, prepare_work_dir
from runners.executor.zygote import ZygoteProcess
from runners.supervisor.kernel import boot_now
from runners.supervisor.processes import owned_by

PROBES = ("true", "git --version", "python3 --version")
_PROBE_S = 10.0
_NO_ACCOUNT = (
    "So ssh, git over ssh and `whoami` refuse to work in them, and credentials of kind ssh key are "
    "of no use there. Install bubblewrap, let the runner mount (CAP_SYS_ADMIN) or, if it is not "
    "root, give its own user an account."
)

# Its target names the namespace of message queues and shared memory.
_QUEUES = "/proc/self/ns/ipc"
_OWN_QUEUES = "At level uid jobs have message queues and shared memory of their own."
_SHARED_QUEUES = (
    "At level uid jobs share the machine's message queues, and later jobs can read what one leaves "
    "there. Let the runner make namespaces (CAP_SYS_ADMIN), mount /dev/mqueue, where they are "
    "removed after each job, or use level sandbox."
)


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that was tried: whether it holds, and the sentence for people."""

    holds: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class IsolationReport:
    """The strongest level that works here, what jobs need for it, and all that was tried."""

    isolation: Isolation
    facts: tuple[Fact, ...]

    @property
    def level(self) -> Level:
        """The level by itself."""
        return self.isolation.level

    @property
    def sentences(self) -> list[str]:
        """The facts as lines, each marked ``ok`` or ``no``."""
        return [f"{'ok' if fact.holds else 'no'}: {fact.sentence}" for fact in self.facts]


def detect(
    work_dir: Path,
    *,
    job_uid: int | None,
    path: str,
    job_gid: int | None = None,
    hidden: Sequence[str] = (),
) -> IsolationReport:
    """Try the levels from the strongest down, with real jobs of the given user; return what holds.

    ``job_uid`` is None for a runner that is not root, or whose jobs are to be root. ``path`` is the
    job PATH, ``hidden`` what a sandbox must not show. Takes about a second.
    """
    facts: list[Fact] = []
    try:
        prepare_work_dir(work_dir, other_users=job_uid is not None)
    except WorkDirError as error:
        facts.append(Fact(False, str(error)))
        return IsolationReport(Isolation("none"), tuple(facts))
    facts.extend(_user_facts(job_uid))
    isolation = Isolation("none")
    with (
        tempfile.TemporaryDirectory(prefix="conveyor-") as folder,
        ZygoteProcess.start(Path(folder)) as zygote,
        Supervisors(zygote.client()) as supervisors,
    ):
        prober = _Prober(supervisors, work_dir, path)
        for isolation in _candidates(job_uid, job_gid, path, hidden):
            found = prober.try_level(isolation)
            facts.append(found)
            if found.holds:
                break
        if job_uid is not None:
            facts.extend(prober.try_queues(Isolation("uid", job_uid, job_gid)))
        facts.append(prober.try_account(isolation))
        facts.extend(prober.try_command(isolation, probe) for probe in PROBES)
    return IsolationReport(isolation, tuple(facts))


def _candidates(
    uid: int | None, gid: int | None, path: str, hidden: Sequence[str]
) -> Iterator[Isolation]:
    if uid is not None or os.geteuid() != 0:
        shown = shown_for(path)
        # Jobs of another user can read nothing private there anyway.
        private = private_settings() if uid is None else ()
        bubblewrap = shutil.which("bwrap", path=f"{os.defpath}:/usr/bin:/usr/local/bin")
        for program in (bubblewrap, None) if bubblewrap else (None,):
            yield Isolation("sandbox", uid, gid, program, (*hidden, *private), shown)
    if uid is not None:
        yield Isolation("uid", uid, gid)
    yield Isolation("none")


def _user_facts(uid: int | None) -> Iterator[Fact]:
    if uid is None and os.geteuid() == 0:
        yield Fact(False, "Jobs run as root: give the runner users for its jobs.")
    elif uid is None:
        yield Fact(True, f"Jobs run as the runner's own user {os.geteuid()}.")
    elif strangers := owned_by(uid):
        numbers = ", ".join(map(str, strangers[:5]))
        yield Fact(False, f"User {uid} is kept for jobs, but owns processes ({numbers}).")
    else:
        yield Fact(True, f"Jobs run as user {uid}, which owns nothing else.")


class _Silent:
    """A reporter that keeps the log and lets the job run."""

    def __init__(self) -> None:
        self.text = b""

    def started(self) -> bool:
        return True

    def log(self, chunks: Sequence[LogChunk]) -> bool:
        self.text += b"".join(chunk.data for chunk in chunks)
        return True

    def orders(self) -> Orders:
        return Orders(ticked_at=boot_now())

    def fileno(self) -> int | None:
        return None


class _Prober:
    """Runs small jobs and tells how they went."""

    def __init__(self, supervisors: Supervisors, work_dir: Path, path: str) -> None:
        self._supervisors = supervisors
        self._work_dir = work_dir
        self._path = path

    def try_level(self, isolation: Isolation) -> Fact:
        """Return whether a job that does nothing succeeds at that level."""
        result, text = self._run(isolation, "true")
        name = _name_of(isolation)
        if result.outcome == "succeeded" and isolation.level == "none":
            return Fact(False, "Jobs are not isolated from this runner (level none).")
        if result.outcome == "succeeded":
            return Fact(True, f"Isolation level {name} works.")
        return Fact(False, f"Isolation level {name} does not work: {_why(result, text)}")

    def try_account(self, isolation: Isolation) -> Fact:
        """Return whether the user of a job at that level has an account, and what follows."""
        result, text = self._run(isolation, "id -un")
        if result.outcome == "succeeded":
            return Fact(True, f"Jobs have an account ({text}), without which ssh refuses to work.")
        return Fact(False, f"Jobs have no account. {_NO_ACCOUNT} {_why(result, text)}")

    def try_queues(self, isolation: Isolation) -> Iterator[Fact]:
        """Yield whether jobs at that level have message queues of their own, if they can run."""
        result, text = self._run(isolation, f"readlink {_QUEUES}")
        if result.outcome == "succeeded":
            own = text != str(Path(_QUEUES).readlink())
            yield Fact(own, _OWN_QUEUES if own else _SHARED_QUEUES)

    def try_command(self, isolation: Isolation, command: str) -> Fact:
        """Return whether a command works for a job at that level, with its first line."""
        result, text = self._run(isolation, command)
        if result.outcome == "succeeded":
            shown = f": {text.splitlines()[0]}" if text else ""
            return Fact(True, f"`{command}` works in a job{shown}.")
        return Fact(False, f"`{command}` does not work in a job: {_why(result, text)}")

    def _run(self, isolation: Isolation, script: str) -> tuple[AttemptResult, str]:
        assignment = JobAssignment(  # noqa: S604 - the field names a language
            attempt_id=str(uuid.uuid4()),
            work_dir=str(self._work_dir),
            path=self._path,
            isolation=isolation,
            shell="sh",
            script=script,
            timeout_s=_PROBE_S,
            timing=Timing(grace_s=0.5),
        )
        reporter = _Silent()
        result = run_assignment(assignment, reporter, self._supervisors)
        reporter.log(result.last_chunks)
        return result, reporter.text.decode(errors="replace").strip()


def _name_of(isolation: Isolation) -> str:
    if isolation.level != "sandbox":
        return isolation.level
    return f"sandbox ({'bubblewrap' if isolation.bubblewrap else 'namespaces'})"


def _why(result: AttemptResult, text: str) -> str:
    lines = [line for line in text.splitlines() if line != result.message]
    return f"{result.message} {lines[-1]}" if lines else result.message
