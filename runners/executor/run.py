"""Running one attempt of a job from its assignment to its result."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path

from runners.executor.job_log import JobLog
from runners.executor.outputs import Collected, collect
from runners.executor.room import why
from runners.executor.sandbox import SEEN
from runners.executor.scripts import NOT_STORED
from runners.executor.shapes import AttemptResult, JobAssignment, Reporter
from runners.executor.stages import SetupError, StagePlan
from runners.executor.supervised import Supervised
from runners.executor.supervisors import Supervisors
from runners.executor.traces import remove_traces
from runners.executor.verdicts import (
    FENCED,
    StageEnd,
    Verdict,
    judge_checkout,
    judge_interruption,
    judge_main,
    judge_post_run,
)
from runners.executor.workspace import Workspace

logger = logging.getLogger(__name__)

_NO_SOURCE = "Note: this job has no `inputs: source`, so its workspace was empty."


def run_assignment(
    assignment: JobAssignment, reporter: Reporter, supervisors: Supervisors
) -> AttemptResult:
    """Run an attempt to its end; blocks, and returns when no process of it is left, and no file.

    A result that is not ``clean`` says that files could not be removed.
    Raises ZygoteGoneError before anything of the attempt was done, ValueError for an assignment
    that contradicts itself, and whatever the reporter raises, with every process killed first.
    """
    log = JobLog(assignment, reporter.log)
    guard = supervisors.take()
    with Supervised(guard, assignment, reporter, log) as supervised:
        verdict, clean = _run_in_workspace(assignment, reporter, log, supervised)
    supervisors.give_back(guard)
    return _result(verdict, log, clean=clean)


def _run_in_workspace(
    assignment: JobAssignment, reporter: Reporter, log: JobLog, supervised: Supervised
) -> tuple[Verdict, bool]:
    isolation = assignment.isolation
    try:
        workspace = Workspace(
            Path(assignment.work_dir),
            assignment.attempt_id,
            uid=isolation.uid,
            gid=isolation.gid,
            seen=SEEN if isolation.level == "sandbox" else "",
        )
    except OSError as error:
        return _unprepared(error), True
    attempt = _Attempt(assignment, reporter, log, supervised=supervised, workspace=workspace)
    try:
        verdict = attempt.run()
    finally:
        supervised.close()
        clean = _remove(workspace, assignment, reporter)
    return verdict, clean


def _unprepared(error: OSError) -> Verdict:
    return Verdict("errored", "setup", f"The job's folders could not be prepared: {why(error)}")


def _remove(workspace: Workspace, assignment: JobAssignment, reporter: Reporter) -> bool:
    """Remove what the job left; return whether that is done."""
    told_at = time.monotonic()

    def tell() -> None:
        # Else the runner takes a slot that removes a large workspace for a frozen one.
        nonlocal told_at
        if time.monotonic() - told_at > assignment.timing.orders_s:
            reporter.orders()
            told_at = time.monotonic()

    isolation = assignment.isolation
    try:
        workspace.remove(tell)
        if isolation.level == "uid" and isolation.uid:
            remove_traces(isolation.uid, alive=tell)
    except OSError as error:
        # Whoever takes the next job of this user sweeps first; this one's result is not changed.
        logger.warning("What the job in %s left could not be removed: %s", workspace.path, error)
        return False
    return True


def _result(verdict: Verdict, log: JobLog, *, clean: bool) -> AttemptResult:
    message = log.masker.mask(verdict.message)
    if message and verdict.outcome != "fenced":
        log.say(message)
    last_chunks = log.stream.take()
    return AttemptResult(
        outcome=verdict.outcome,
        reason=verdict.reason,
        message=message,
        exit_code=verdict.exit_code,
        outputs=dict(verdict.outputs),
        log_bytes=log.stream.size,
        log_sha256=log.stream.sha256,
        last_chunks=() if log.stream.lost else last_chunks,
        clean=clean,
    )


class _Attempt:
    """The stages of one attempt in their order."""

    def __init__(
        self,
        assignment: JobAssignment,
        reporter: Reporter,
        log: JobLog,
        *,
        supervised: Supervised,
        workspace: Workspace,
    ) -> None:
        self._assignment = assignment
        self._reporter = reporter
        self._log = log
        self._supervised = supervised
        self._workspace = workspace

    def run(self) -> Verdict:
        """Return the verdict on checkout, commands, outputs and post-run."""
        try:
            plan = StagePlan(self._assignment, self._workspace, self._accounts())
            refused = self._prepare(plan) or self._interruption()
            main = plan.main()
        except SetupError as error:
            return Verdict("errored", "setup", str(error))
        except OSError as error:
            return _unprepared(error)
        if refused is not None:
            return refused
        if not self._reporter.started():
            return FENCED
        end = self._supervised.run(main)
        verdict = judge_main(end, self._collect(end), self._assignment)
        if verdict.reason == "exit-status" and self._assignment.leaves_out_source:
            self._log.say(_NO_SOURCE)
        return self._post_run(plan, verdict)

    def _accounts(self) -> str:
        return self._supervised.accounts.folder_for(
            self._assignment.isolation,
            work_dir=self._assignment.work_dir,
            home=self._workspace.folder("home"),
        )

    def _prepare(self, plan: StagePlan) -> Verdict | None:
        checkout = self._assignment.checkout
        if checkout is None:
            return None
        end = self._supervised.run(plan.checkout(checkout))
        verdict = judge_checkout(end, self._assignment)
        if verdict is None:
            self._log.say(f"Checked out commit {checkout.commit}.")
        return verdict

    def _interruption(self) -> Verdict | None:
        """Return the verdict of orders that came before the start; post-run does not run then."""
        end = self._supervised.interruption()
        if end is None:
            return None
        verdict = judge_interruption(end, self._assignment.timing.silence_kill_s)
        return replace(verdict, status=None) if verdict else None

    def _collect(self, end: StageEnd) -> Collected | None:
        if end.reason != "exited":
            return None
        stored = end.code != NOT_STORED
        collected = collect(self._assignment, self._workspace, self._log.masker, stored=stored)
        for note in collected.notes:
            self._log.say(f"Note: {note}.")
        return collected

    def _post_run(self, plan: StagePlan, verdict: Verdict) -> Verdict:
        if verdict.status is None or not self._assignment.post_run.strip():
            return verdict
        if verdict.outcome != "succeeded":
            self._log.say(verdict.message)
        stage = plan.post_run(verdict.status)
        end = self._supervised.run(stage, heed_cancel=verdict.status != "cancelled")
        if not end.succeeded:
            self._log.say(f"Post-run did not succeed ({_short(end)}).")
        return judge_post_run(verdict, end, self._assignment)


def _short(end: StageEnd) -> str:
    if end.reason == "exited":
        return f"exit status {end.exit_code}"
    if end.reason == "cancelled":
        return f"cancelled by {end.message}"
    return end.message or end.reason
