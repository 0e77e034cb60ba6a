"""Following belt runs in a terminal: their logs line by line, and how each job and run ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from uuid import UUID

from django.db import DatabaseError, connection

from belts.spec.names import visible
from runners.unserved import unserved_queues
from runs.chains import state_of, whole_chain
from runs.durations import length_of
from runs.log_display import LogDisplay
from runs.logs import read_log
from runs.models import Attempt, BeltRun, Edge, JobRun
from runs.queue_warnings import queue_warnings
from runs.sentences import why
from runs.states import BeltRunState

LOOK_EVERY_S = 0.25
#: A database that is away for longer ends the following.
PATIENCE_S = 60.0
_PIECES_A_READ = 64
_CONTROL = "control"
#: A line that is longer is shown in parts of this length.
_LONGEST_LINE = 16 * 1024

#: Takes one line of text, without its end.
Write = Callable[[str], object]


def follow(root_belt_run_id: UUID, write: Write, *, chain: bool = True) -> bool:
    """Write what happens in a belt run until it has ended; return whether all of it succeeded.

    With ``chain`` the belt runs that it leads to are followed too, in whatever product. It is no
    success if a downstream run was due and could not be started. Text is safe for a terminal.
    Raises BeltRun.DoesNotExist for an unknown id, and DatabaseError when the database stays away.
    """
    follower = _Follower(write)
    answered_at = time.monotonic()
    while True:
        try:
            runs = _members(root_belt_run_id, chain=chain)
            ended = _have_ended(runs)
            follower.show(runs)
            if ended and len(_members(root_belt_run_id, chain=chain)) == len(runs):
                return _all_succeeded(runs)
            answered_at = time.monotonic()
        except DatabaseError:
            if time.monotonic() - answered_at > PATIENCE_S:
                raise
            connection.close()
        time.sleep(LOOK_EVERY_S)


def _all_succeeded(runs: list[BeltRun]) -> bool:
    """Return whether the runs succeeded, and each downstream run that was due was started."""
    due = Edge.objects.filter(upstream__in=runs, fired_at__isnull=False, closed_at__isnull=False)
    return all(run.state == BeltRunState.SUCCEEDED for run in runs) and not due.exists()


def _members(root_belt_run_id: UUID, *, chain: bool) -> list[BeltRun]:
    """Return the belt run and those that it led to, oldest first."""
    runs = BeltRun.objects.select_related("belt__product")
    root = runs.get(id=root_belt_run_id)
    if not chain:
        return [root]
    members = {root.id: root}
    for run in whole_chain(root).select_related("belt__product").order_by("id"):
        if run.upstream_id in members:
            members[run.id] = run
    return list(members.values())


def _have_ended(runs: list[BeltRun]) -> bool:
    """Return whether nothing can happen any more in the runs or after them."""
    if any(not run.is_finished for run in runs):
        return False
    if len(runs) == 1 and not runs[0].continue_downstream:
        return True
    return not state_of(BeltRun.objects.filter(id__in=[run.id for run in runs])).is_open


class _Follower:
    """Knows what was written already."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._states: dict[UUID, str] = {}
        self._logs: dict[UUID, _AttemptLog] = {}
        self._warned: set[UUID] = set()

    def show(self, runs: list[BeltRun]) -> None:
        """Write what is new in the runs; a run that was shown to its end is not read again."""
        new = [run for run in runs if run.id not in self._states]
        for run in new:
            self._write(f"{run} begins: {visible(run.cause)}")
            self._states[run.id] = ""
        watched = {run.id: run for run in runs if self._states[run.id] != run.state}
        self._show_jobs(watched)
        for run in watched.values():
            if run.is_finished:
                self._states[run.id] = run.state
                self._write(f"{run} {run.state}")

    def _show_jobs(self, runs: dict[UUID, BeltRun]) -> None:
        job_runs = list(JobRun.objects.filter(belt_run__in=runs).order_by("id"))
        attempts = Attempt.objects.filter(job_run__in=job_runs).order_by("number")
        for job_run in job_runs:
            job_run.belt_run = runs[job_run.belt_run_id]
        by_job: dict[UUID, list[Attempt]] = {}
        for attempt in attempts:
            by_job.setdefault(attempt.job_run_id, []).append(attempt)
        for job_run in job_runs:
            if self._states.get(job_run.id) != job_run.state:
                self._show_job(job_run, by_job.get(job_run.id, []))
        self._show_warnings(job_runs)

    def _show_job(self, job_run: JobRun, attempts: Iterable[Attempt]) -> None:
        label = _label(job_run)
        for attempt in attempts:
            log = self._logs.get(attempt.id)
            if log is None:
                log = self._logs[attempt.id] = _AttemptLog(label, self._write)
                if attempt.number > 1:
                    self._write(f"{label} is tried again, attempt {attempt.number}")
            log.show(attempt)
        if job_run.is_finished:
            self._states[job_run.id] = job_run.state
            reason = "" if self._has_been_said(job_run, attempts) else _why(job_run)
            self._write(f"{label} {job_run.state}{_took(job_run)}{reason}")

    def _has_been_said(self, job_run: JobRun, attempts: Iterable[Attempt]) -> bool:
        """Return whether the last that a log said is why the job run ended as it did."""
        said = [self._logs[attempt.id].last_said for attempt in attempts]
        return bool(said) and said[-1] == visible(job_run.message)

    def _show_warnings(self, job_runs: list[JobRun]) -> None:
        warnings = queue_warnings(job_runs, unserved_queues)
        for job_run in job_runs:
            if job_run.id in warnings and job_run.id not in self._warned:
                self._warned.add(job_run.id)
                self._write(f"{_label(job_run)} waits. {warnings[job_run.id]}")


def _label(job_run: JobRun) -> str:
    return f"{job_run.belt_run.belt}.{job_run.name}"


def _took(job_run: JobRun) -> str:
    if job_run.started_at is None or job_run.finished_at is None:
        return ""
    return f" in {length_of(job_run)}"


def _why(job_run: JobRun) -> str:
    if job_run.state == "succeeded" or not job_run.message:
        return ""
    return f": {visible(why(job_run))}"


class _AttemptLog:
    """The log of one attempt, as lines with the job's name before them.

    ``last_said`` is the last line that is the platform's and not the job's.
    """

    def __init__(self, label: str, write: Write) -> None:
        self._label = label
        self._write = write
        self._after = -1
        self._ended = False
        self._displays: dict[str, LogDisplay] = {}
        self._begun: dict[str, str] = {}
        self.last_said = ""

    def show(self, attempt: Attempt) -> None:
        """Write the lines that have been completed since, and the rest when it has ended."""
        if self._ended:
            return
        while pieces := read_log(attempt, after=self._after, limit=_PIECES_A_READ):
            self._after = pieces[-1].sequence
            for piece in pieces:
                shown = self._displays.setdefault(piece.stream, LogDisplay()).feed(piece.data)
                self._take(piece.stream, "".join(each.text for each in shown))
        if attempt.finished_at is not None:
            self._finish()

    def _take(self, stream: str, text: str) -> None:
        *lines, rest = (self._begun.get(stream, "") + text).split("\n")
        while len(rest) > _LONGEST_LINE:
            lines.append(rest[:_LONGEST_LINE])
            rest = rest[_LONGEST_LINE:]
        self._begun[stream] = rest
        if lines and stream == _CONTROL:
            self._write_begun()
            self.last_said = lines[-1]
        for line in lines:
            self._write(f"{self._label} | {line}")

    def _write_begun(self) -> None:
        """Write the lines that the job has begun, so that they stand before the platform's."""
        for stream, text in self._begun.items():
            if text and stream != _CONTROL:
                self._begun[stream] = ""
                self._write(f"{self._label} | {text}")

    def _finish(self) -> None:
        self._ended = True
        for stream, display in self._displays.items():
            self._take(stream, "".join(each.text for each in display.finish()))
            if self._begun[stream]:
                self._take(stream, "\n")
