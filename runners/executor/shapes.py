"""What a slot is told about an attempt, and what it tells back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

Shell = Literal["bash", "sh", "python"]
Level = Literal["sandbox", "uid", "none"]
Stream = Literal["stdout", "stderr", "control"]
Outcome = Literal["succeeded", "failed", "errored", "cancelled", "fenced"]

MIB = 1024 * 1024
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A credential given as a file: ``variable`` names the environment variable with its path."""

    name: str
    variable: str
    content: bytes = field(repr=False)
    mode: int = 0o600


@dataclass(frozen=True, slots=True)
class Checkout:
    """The source to put into the workspace: a full commit id of a bare mirror on this machine.

    ``group`` is a supplementary group that the checkout alone is given, so that mirrors can be
    closed to every job: ``chgrp group mirror; chmod 0750 mirror``. ``depth`` limits the history.
    ``tag`` is the tag that the run is of, which is made if the mirror has it elsewhere.
    """

    mirror_path: str
    commit: str
    group: int | None = None
    depth: int | None = None
    tag: str = ""


@dataclass(frozen=True, slots=True)
class OutputWord:
    """A declared output: the shell's variable ``name`` (``word`` None) or a word of the shell.

    Raises ValueError for a name that is no variable's: it becomes part of a script and a path.
    """

    name: str
    word: str | None = None

    def __post_init__(self) -> None:
        if not _VARIABLE.fullmatch(self.name):
            raise ValueError(f"{self.name!r} cannot name an output")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one attempt may use; None leaves a limit as the runner has it. Sizes are in bytes."""

    log_bytes: int = 64 * MIB
    outputs: int = 64
    output_bytes: int = 32 * 1024
    outputs_bytes: int = 256 * 1024
    processes: int | None = 4096
    open_files: int | None = 65536
    file_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. Silence is the time since the last successful renewal was sent.

    A supervisor that is ``late_s`` late with the begin or the end of a stage counts as dead.
    """

    silence_term_s: float = 40.0
    silence_kill_s: float = 50.0
    grace_s: float = 10.0
    checkout_s: float = 600.0
    orders_s: float = 1.0
    late_s: float = 30.0
    flush_s: float = 0.2
    slow_flush_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Isolation:
    """The level of an attempt and what it needs.

    ``uid`` and ``gid`` are the slot's own user for jobs, None the runner's own. ``bubblewrap`` is
    the path of ``bwrap``; None at level sandbox means namespaces made by the supervisor.
    ``hidden`` are paths that a sandbox must not show, beside the work folder; ``shown`` are
    folders outside the system's own that it shows read-only (for tools on the job PATH).
    """

    level: Level
    uid: int | None = None
    gid: int | None = None
    bubblewrap: str | None = None
    hidden: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobAssignment:
    """Everything needed to run one attempt of a job.

    ``script`` is pre-run and commands, joined by a newline, with references already rewritten to
    variables; ``environment`` holds their values and everything else the job's author may set.
    ``facts`` become the variables ``CONVEYOR_<KEY>``. ``path`` is the job PATH.
    ``leaves_out_source``: the product has a source, and the job does not ask for it. Platform
    variables (PATH, HOME, CONVEYOR_ATTEMPT, ...) win over ``environment``.
    """

    attempt_id: str
    work_dir: str
    path: str
    isolation: Isolation
    shell: Shell = "bash"
    script: str = ""
    post_run: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret_values: tuple[bytes, ...] = field(default=(), repr=False)
    secret_files: tuple[SecretFile, ...] = ()
    checkout: Checkout | None = None
    leaves_out_source: bool = False
    working_directory: str | None = None
    outputs: tuple[OutputWord, ...] = ()
    timeout_s: float = 3600.0
    post_run_timeout_s: float = 60.0
    limits: Limits = Limits()
    timing: Timing = Timing()


@dataclass(frozen=True, slots=True)
class LogChunk:
    """A piece of the log: numbered from 0, ``offset`` in bytes of the whole log, masked."""

    sequence: int
    stream: Stream
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Orders:
    """What the runner wants of an attempt now.

    ``ticked_at`` is when the last successful renewal was sent, on CLOCK_BOOTTIME. ``cancel`` says
    who or what cancelled it; ``stop`` why the runner must end it (drain limit); ``lost`` that the
    attempt is no longer this runner's.
    """

    ticked_at: float
    cancel: str | None = None
    stop: str | None = None
    lost: bool = False


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """How an attempt ended; every process of it is dead.

    ``reason`` is a word of the platform's list (exit-status, timed-out, output-missing, ...), empty
    when it succeeded. ``message`` is a sentence for people. ``exit_code`` is the commands' (128 + n
    for signal n), None when they did not end by themselves. ``outputs`` may hold what was captured
    of a failed attempt too. ``last_chunks`` end the log and have not been reported yet; the
    figures of the log include them. ``clean`` says that no file of it is left either.
    """

    outcome: Outcome
    reason: str
    message: str
    exit_code: int | None
    outputs: Mapping[str, str]
    log_bytes: int
    log_sha256: str
    last_chunks: tuple[LogChunk, ...] = ()
    clean: bool = True


class Reporter(Protocol):
    """The slot's way to the rest of the platform; calls block and come from one thread."""

    def started(self) -> bool:
        """Commit the start; return False when the attempt is no longer this runner's."""

    def log(self, chunks: Sequence[LogChunk]) -> bool:
        """Store pieces of the log; return False when the attempt is no longer this runner's."""

    def orders(self) -> Orders:
        """Return the present orders; called at least every ``Timing.orders_s`` seconds."""

    def fileno(self) -> int | None:
        """Return a descriptor that is readable when ``orders`` may have changed, or None."""
