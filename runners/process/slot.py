"""A slot of a runner: claims a job run, runs it, stores its end, and claims the next one.

It is one process with one database connection and one job at a time. What must happen outside it
for the job's sake is done by its supervisor; what must happen for the lease's, by the heart.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from django.db import connection

from products.credentials import CredentialMissingError
from products.errors import PlatformError, UserError
from products.identifiers import uuid7
from products.statements import keep_plans
from runners.assignment import Workbench, build_assignment
from runners.errors import SetupError
from runners.executor.run import run_assignment
from runners.executor.shapes import AttemptResult, JobAssignment
from runners.executor.supervisors import Supervisors
from runners.executor.traces import remove_traces
from runners.executor.workspace import discard, left_of
from runners.executor.zygote import ZygoteClient, ZygoteGoneError
from runners.process import guard
from runners.process.aside import InterruptedAsideError
from runners.process.ends import (
    Ending,
    Fenced,
    GivenBack,
    ending_of,
    interrupted,
    setup_failure,
)
from runners.process.links import Link, LinkClosedError
from runners.process.messages import Idle, Swept
from runners.process.outage import DATABASE_AWAY, Outage
from runners.process.plan import RunnerPlan, SlotPlace
from runners.process.slot_line import SlotLine
from runners.protocol import PROTOCOL
from runners.reporting import DatabaseReporter, EndedMeanwhileError, Patience, to_store
from runners.supervisor.processes import sweep as sweep_processes
from runs.attempts import Claim, NextClaim, RunnerFacts, claim_job_run
from runs.finish import finish_attempt, give_back_attempt

logger = logging.getLogger(__name__)

#: Tries of a claim whose answer did not come; each could have been committed.
_CLAIM_TRIES = 3
#: A dead zygote is waited for so long, and looked for so often.
_ZYGOTE_S = 10.0
_ZYGOTE_AGAIN_S = 0.05

_OUR_MISTAKE = "The runner made a mistake with this job; its own log says which."

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class SlotFacts:
    """What a slot's process is given: ``leftover`` is the attempt that the one before it left."""

    plan: RunnerPlan
    place: SlotPlace
    runner_id: str
    leftover: str | None
    draining: bool


def run_slot(link: Link, facts: SlotFacts, zygote: ZygoteClient) -> int:
    """Be a slot until told to leave; the process' exit code."""
    try:
        if facts.leftover is not None:
            sweep_processes([facts.leftover], facts.place.uid)
            link.send_surely(Swept(facts.leftover))
        if not _sweep_files(facts):
            return 1
        with Supervisors(zygote) as supervisors:
            Slot(link, facts, supervisors).run()
    except (LinkClosedError, UncleanError):
        return 1
    return 0


def _sweep_files(facts: SlotFacts) -> bool:
    """Remove what earlier jobs of the slot left, nothing of whose user is alive.

    Returns False where a job could reach something of another that stays; no job may run then.
    """
    try:
        if facts.leftover is not None:
            discard(facts.plan.work_dir, [facts.leftover])
        if facts.place.uid is not None:
            discard(facts.plan.work_dir, left_of(facts.plan.work_dir, facts.place.uid))
            remove_traces(facts.place.uid)
    except OSError as error:
        logger.warning(
            "The slot takes no job while what earlier ones left in %s, or in /tmp and its like, "
            "cannot be removed (%s).",
            facts.plan.work_dir,
            error.strerror or error,
        )
        return False
    return True


class UncleanError(Exception):
    """A job left what could not be removed; the next process of its slot tries first."""


class Slot:
    """The rounds of a slot."""

    def __init__(self, link: Link, facts: SlotFacts, supervisors: Supervisors) -> None:
        plan = facts.plan
        self._link = link
        self._plan = plan
        self._supervisors = supervisors
        self._line = SlotLine(link, plan.times["alive"], draining=facts.draining)
        self._outage = Outage()
        self._patience = Patience(self._line, self._outage)
        self._bench = Workbench(plan, facts.place, self._line)
        self._clean = True
        self._runner = RunnerFacts(
            id=UUID(facts.runner_id),
            name=plan.name,
            boot_id=plan.boot_id,
            protocol=PROTOCOL,
            isolation=plan.isolation.level,
        )

    def run(self) -> None:
        """Work whenever woken, until told to leave; raise UncleanError where that is not safe."""
        self._warm_up()
        self._link.send_surely(Idle())
        while (wake := self._line.await_wake()) is not None:
            self._work(None if wake.job_run is None else UUID(wake.job_run))
            self._link.send_surely(Idle())

    def _warm_up(self) -> None:
        """Connect before there is a hurry."""
        keep_plans()
        try:
            connection.ensure_connection()
        except DATABASE_AWAY as error:
            self._outage.met(error)

    def _work(self, named: UUID | None) -> None:
        sent_at = guard.now()
        # Forked while the database answers.
        self._supervisors.prepare()
        claim = self._claim(named)
        while claim is not None:
            self._line.begin(str(claim.attempt_id), str(claim.job_run_id), sent_at)
            sent_at, claim = self._perform(claim)
            if not self._clean:
                raise UncleanError
            self._line.end()

    # --- Claims -----------------------------------------------------------------------------------
    def _claim(self, named: UUID | None) -> Claim | None:
        if not self._may_claim():
            return None
        claim = self._claim_one(named) if named is not None else None
        return claim or self._claim_one(None)

    def _may_claim(self) -> bool:
        if self._line.draining or not self._clean:
            return False
        try:
            return not self._plan.lack_of_room()
        except FileNotFoundError:
            return False

    def _claim_one(self, job_run_id: UUID | None) -> Claim | None:
        nonce = uuid7()
        for _ in range(_CLAIM_TRIES):
            try:
                return claim_job_run(
                    self._runner, queues=self._plan.queues, nonce=nonce, job_run_id=job_run_id
                )
            except DATABASE_AWAY as error:
                self._outage.met(error)
        return None

    def _next_claim(self) -> NextClaim | None:
        if not self._may_claim():
            return None
        return NextClaim(runner=self._runner, queues=self._plan.queues, nonce=uuid7())

    # --- One attempt ------------------------------------------------------------------------------
    def _perform(self, claim: Claim) -> tuple[float, Claim | None]:
        """Run the claimed attempt and store its end.

        Returns the next claim, made with the same commit, and a time before that was sent.
        """
        reporter = DatabaseReporter(claim.attempt_id, self._line, self._patience)
        ending = self._attempt(claim, reporter)
        sent_at = guard.now()
        if isinstance(ending, Fenced):
            logger.warning("Attempt %s is no longer this runner's; it was ended.", claim.attempt_id)
            return sent_at, self._claim(None)
        if isinstance(ending, GivenBack):
            self._insist(lambda: give_back_attempt(claim.attempt_id, message=ending.message))
            return sent_at, self._claim(None)
        next_claim = self._next_claim()
        finished = self._insist(
            lambda: finish_attempt(
                claim.attempt_id,
                ending.end,
                last_chunks=[*reporter.unsent(), *map(to_store, ending.last_chunks)],
                claim_next=next_claim,
            )
        )
        return sent_at, finished.claim

    def _run(self, assignment: JobAssignment, reporter: DatabaseReporter) -> AttemptResult:
        """Run the assignment. Raises ZygoteGoneError if no zygote comes back for a while."""
        give_up_at = guard.now() + _ZYGOTE_S
        while True:
            try:
                return run_assignment(assignment, reporter, self._supervisors)
            except ZygoteGoneError:
                if guard.now() > give_up_at:
                    raise
            self._line.attend(_ZYGOTE_AGAIN_S)

    def _insist(self, statement: Callable[[], Result]) -> Result:
        return self._patience.insist(statement, even_if_ordered_to_end=True)

    def _attempt(self, claim: Claim, reporter: DatabaseReporter) -> Ending:
        try:
            assignment = self._patience.insist(
                lambda: build_assignment(claim, self._bench), even_if_ordered_to_end=False
            )
            reporter.isolation = assignment.isolation.level
            result = self._run(assignment, reporter)
            self._clean = result.clean
            return ending_of(result, self._line.orders(), started=reporter.start_tried)
        except (InterruptedAsideError, EndedMeanwhileError):
            return interrupted(self._line.orders())
        except (SetupError, CredentialMissingError) as error:
            return setup_failure(str(error), reason=error.reason)
        except (UserError, PlatformError, ZygoteGoneError) as error:
            return setup_failure(str(error))
        except LinkClosedError:
            raise
        except Exception:
            # The edge of a job: a mistake of ours ends this attempt and not the slot.
            logger.exception("Attempt %s ended by an error of the runner.", claim.attempt_id)
            return setup_failure(_OUR_MISTAKE, reason="internal")
