"""Runners that do anything in any order, late and twice: the engine's rules hold at every step.

A machine of Hypothesis calls the verbs as slots, people and the reaper do, and lets the database's
clock go on. It knows some rules of its own, which it checks after each step; at the end of each
example everything is driven to its end and the invariants of all rows are checked.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import transaction
from django.db.models.functions import Now
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from products.identifiers import uuid7
from products.models import OutboxRow
from runs.attempts import Claim, renew_leases
from runs.cancel import cancel_belt_run, cancel_job_run
from runs.errors import RunFinishedError
from runs.finish import (
    finish_attempt,
    give_back_attempt,
    lose_attempt,
    lose_attempts_of_other_boots,
)
from runs.models import Attempt, BeltRun, JobRun
from runs.reaper import force_cancels, lose_expired_attempts, settle_stragglers, write_hints_again
from runs.states import BELT_FINISHED, FINISHED
from tests.engine import (
    Worker,
    an_end,
    attempt,
    deliver_all,
    pass_time,
    publish_text,
    start,
    work_off,
)
from tests.invariants import assert_invariants
from tests.model.present import ALIVE, AttemptRow, JobRow, Present
from tests.model.steps import (
    attempts_follow_one_another,
    nothing_that_ended_moved,
    watchers_can_tell,
)

pytestmark = [pytest.mark.django_db, pytest.mark.database]

GEM = """
    product: gem
    belts:
      - name: build
        jobs:
          - {name: compile, commands: make, outputs: [{String: FILE}]}
          - name: flaky
            commands: try
            retry: {max: 2, on: [failure, runner-lost], delay: 100s, backoff: 2}
          - {name: check, inputs: [compile, flaky], commands: "check ${compile.FILE}"}
        downstreams: [{downstream-product: site, belts: deploy}]
"""
SITE = """
    product: site
    belts:
      - name: deploy
        jobs:
          - name: deploy
            commands: "use ${gem.build.compile.FILE}"
            inputs: [{from: gem.build, build: last}]
"""
OUTPUTS = {"FILE": "a.gem"}
#: So many attempts may start of a job: one, and as many more as its author asked for.
STARTS = {"flaky": 3}
#: The delays of its retries, by how often it was tried.
DELAYS_S = (100.0, 200.0)
#: So much may the database's clock go on by itself in an example.
REAL_TIME_S = 30.0
A_DAY = timedelta(days=1)

places = st.integers(0, 30)
workers = st.integers(0, 2)
outcomes = st.sampled_from(["succeeded", "failed", "errored", "cancelled"])
#: With and without the end of leases, and of a delay.
times = st.sampled_from([25, 70, 250])


class EngineMachine(RuleBasedStateMachine):
    """Three workers, some people and the reaper at the runs of two belts, the first of them there.

    ``present`` is how everything stood after the last step. ``due`` says at which time of the
    machine's own clock the retry of a job run may be claimed, by the attempt that it follows.
    """

    def __init__(self) -> None:
        super().__init__()
        self._example = transaction.atomic()
        self._example.__enter__()
        self.workers = [Worker(name=f"worker-{number}") for number in range(3)]
        self.wishes: list[tuple[UUID, Worker]] = []
        self.present = Present.read()
        self.clock_s = 0.0
        self.due: dict[tuple[UUID, int], float] = {}
        self.retries: Counter[UUID] = Counter()

    def teardown(self) -> None:
        """Drive everything to its end, look at all of it, and forget it."""
        try:
            self._drive_to_the_end()
            self.rules_hold()
            assert_invariants(drained=True)
        finally:
            transaction.set_rollback(True)
            self._example.__exit__(None, None, None)

    def _drive_to_the_end(self) -> None:
        Attempt.objects.filter(state__in=ALIVE).update(lease_until=Now() - A_DAY)
        lose_expired_attempts()
        self.rules_hold()
        self._pass(400)
        work_off(Worker(name="last"), lambda _job: OUTPUTS)
        settle_stragglers()
        deliver_all()

    @initialize()
    def claim_the_first(self) -> None:
        """Claim a job: most rules are about attempts."""
        assert self._claim(self.workers[0], None) is not None

    # --- People -----------------------------------------------------------------------------------
    @rule()
    def start_another(self) -> None:
        """Start one more run, up to a few."""
        if len(self.present.runs) < 4:
            start("gem.build")

    @rule(place=places)
    def cancel_a_job(self, place: int) -> None:
        """Cancel any job run; one that has ended refuses."""
        row = self._job(place)
        try:
            cancel_job_run(JobRun(id=row.id, belt_run_id=row.belt_run_id), by="somebody")
        except RunFinishedError:
            assert row.state in FINISHED
        else:
            assert row.state not in FINISHED

    @rule(place=places)
    def cancel_a_run(self, place: int) -> None:
        """Cancel any belt run; one that has ended refuses."""
        rows = list(self.present.runs.values())
        row = rows[place % len(rows)]
        try:
            cancel_belt_run(BeltRun(id=row.id), by="somebody")
        except RunFinishedError:
            assert row.state in BELT_FINISHED
        else:
            assert row.state not in BELT_FINISHED

    # --- Workers ----------------------------------------------------------------------------------
    @rule(who=workers, place=places)
    def claim_by_hint(self, who: int, place: int) -> None:
        """Hear of any job run, whatever became of it since, and claim what can be claimed."""
        row = self._job(place)
        claim = self._claim(self.workers[who], row)
        if self._can_tell(row):
            can_be = self._is_claimable(row)
            assert (claim is not None) == can_be, f"{row} and the claim was {claim}."

    @rule(who=workers)
    def claim_the_oldest(self, who: int) -> None:
        """Look for work without being told."""
        if self._claim(self.workers[who], None) is None:
            able = [row for row in self.present.jobs.values() if self._is_claimable(row)]
            assert not [row for row in able if self._can_tell(row)], "Work was overlooked."

    @rule(place=places)
    def claim_again_after_a_lost_answer(self, place: int) -> None:
        """The same wish gets the same claim, and none once that attempt has ended."""
        if self.wishes:
            nonce, worker = self.wishes[place % len(self.wishes)]
            [made] = [each for each in self.present.attempts.values() if each.nonce == nonce]
            claim = Claim(made.id, made.job_run_id, made.number, is_tainted=False)
            assert worker.claim(nonce=nonce) == (claim if made.is_alive else None)

    @rule(who=workers, place=places, outcome=outcomes)
    def do_a_job(self, who: int, place: int, outcome: str) -> None:
        """Claim, start and end one, as a slot does where nothing comes between."""
        worker = self.workers[who]
        claim = self._claim(worker, self._job(place))
        if claim is not None:
            assert worker.start(claim)
            # Nobody asked for a cancel.
            outcome = "failed" if outcome == "cancelled" else outcome
            assert worker.end(claim.attempt_id, outcome, outputs=OUTPUTS).stored

    @rule(who=workers, is_lost=st.booleans(), seconds=times)
    def fail_what_is_tried_again(self, who: int, is_lost: bool, seconds: int) -> None:
        """Let a job fail whose author asked for more tries, and some time go by."""
        worker = self.workers[who]
        rows = (row for row in self.present.jobs.values() if row.name == "flaky")
        row = next((row for row in rows if row.state == "queued"), None)
        claim = self._claim(worker, row) if row is not None else None
        if claim is not None:
            assert worker.start(claim)
            if is_lost:
                lose_attempt(claim.attempt_id, "It is gone.")
            else:
                worker.end(claim.attempt_id, "failed")
            self.rules_hold()
            self._pass(seconds)

    @rule(place=places, meanwhile=st.sampled_from(["nothing", "a cancel", "the end of its lease"]))
    def start(self, place: int, meanwhile: str) -> None:
        """Start any attempt; only one that is alive, leased and not cancelled may be executed."""
        before = self._attempt(place)
        job = self.present.jobs[before.job_run_id]
        is_cancelled = job.is_cancelled
        if meanwhile == "a cancel" and job.state not in FINISHED:
            cancel_job_run(JobRun(id=job.id, belt_run_id=job.belt_run_id), by="somebody")
            is_cancelled = True
        if meanwhile == "the end of its lease":
            self._end_lease(before)
        has_lease = Attempt.objects.filter(id=before.id, lease_until__gt=Now()).exists()
        may = before.state == "running" or (before.state == "starting" and has_lease)
        claim = Claim(before.id, before.job_run_id, before.number, is_tainted=False)
        assert self.workers[0].start(claim) == (may and not is_cancelled)
        if is_cancelled and before.is_alive:
            assert attempt(before.id).state == "cancelled"

    @rule(place=places, outcome=outcomes)
    def finish(self, place: int, outcome: str) -> None:
        """End any attempt: a second time, or as a zombie, nothing is stored."""
        before = self._attempt(place)
        if before.state == "starting" and outcome == "succeeded":
            outcome = "errored"
        # A runner tells of a cancel only where it was asked for one.
        if outcome == "cancelled" and not self.present.jobs[before.job_run_id].is_cancelled:
            outcome = "failed"
        finished = self.workers[0].end(before.id, outcome, outputs=OUTPUTS)
        assert finished.stored == before.is_alive

    @rule(place=places, who=workers)
    def finish_and_claim_next(self, place: int, who: int) -> None:
        """End an attempt and claim in one call, whose answer is lost and which is repeated."""
        worker, end = self.workers[who], an_end("failed")
        before, wish = self._attempt(place), worker.wish()
        first = finish_attempt(before.id, end, claim_next=wish)
        second = finish_attempt(before.id, end, claim_next=wish)
        assert (first.stored, second.stored) == (before.is_alive, False)
        assert first.claim == second.claim
        if first.claim is not None:
            # Tried again, it has a delay.
            assert not (first.stored and first.claim.job_run_id == before.job_run_id)
            self.wishes.append((wish.nonce, worker))

    @rule(who=workers)
    def renew(self, who: int) -> None:
        """Renew all that the worker ever had; only what is still its own lives on."""
        own = Attempt.objects.filter(runner_id=self.workers[who].id)
        living = own.filter(state__in=ALIVE, lease_until__gt=Now())
        expected = frozenset(living.values_list("id", flat=True))
        renewal = renew_leases(self.workers[who].id, list(own.values_list("id", flat=True)))
        assert renewal.alive == expected
        assert renewal.cancelled == {
            each
            for each in expected
            if self.present.jobs[self.present.attempts[each].job_run_id].is_cancelled
        }

    @rule(place=places)
    def give_back(self, place: int) -> None:
        """Give an attempt back; only one that has not started is replaced."""
        row = self._attempt(place)
        assert give_back_attempt(row.id, message="It ends.") == (row.state == "starting")

    @rule(who=workers)
    def start_the_worker_anew(self, who: int) -> None:
        """Whatever it had is lost."""
        old = self.workers[who]
        worker = self.workers[who] = Worker(id=old.id, name=old.name)
        lose_attempts_of_other_boots(worker.id, worker.boot_id)
        assert not Attempt.objects.filter(runner_id=worker.id, state__in=ALIVE).exists()

    # --- Time and the server ----------------------------------------------------------------------
    @rule(seconds=times)
    def let_time_pass(self, seconds: int) -> None:
        """Let the database's clock go on: leases end, delays are over."""
        self._pass(seconds)

    @rule(place=places)
    def let_a_lease_end(self, place: int) -> None:
        """Let a lease end unnoticed: from now on its holder is a zombie."""
        self._end_lease(self._attempt(place))

    @rule()
    def reap(self) -> None:
        """Lose what has no lease, end what nobody cancelled in time."""
        lose_expired_attempts()
        requested = JobRun.objects.filter(cancel_requested_at__isnull=False)
        requested.update(cancel_requested_at=Now() - A_DAY)
        force_cancels()
        left = Attempt.objects.filter(state__in=ALIVE)
        assert not left.filter(lease_until__lt=Now() - A_DAY / 2).exists()
        assert not left.filter(job_run__cancel_requested_at__isnull=False).exists()

    @rule()
    def look_after_the_rest(self) -> None:
        """Deliver what is in the outbox, and look at what stands still."""
        deliver_all()
        settle_stragglers()
        write_hints_again()

    # --- What holds after every step --------------------------------------------------------------
    @invariant()
    def rules_hold(self) -> None:
        """Look at everything once, beside how it stood before the last step."""
        before, self.present = self.present, Present.read()
        nothing_that_ended_moved(before, self.present)
        watchers_can_tell(before, self.present)
        attempts_follow_one_another(before, self.present, STARTS)
        self._retries_have_their_delays()

    def _retries_have_their_delays(self) -> None:
        """A job that is tried again can be claimed once its delay is over, any other at once."""
        for row in self.present.jobs.values():
            key = (row.id, row.last_attempt)
            if row.state == "queued" and row.reason == "retry" and key not in self.due:
                self.due[key] = self.clock_s + DELAYS_S[self.retries[row.id]]
                self.retries[row.id] += 1
            if row.state == "queued":
                expected = self.due.get(key, 0) - self.clock_s if row.reason == "retry" else 0
                early = expected - row.delay_s
                assert -1 <= early <= REAL_TIME_S if row.reason == "retry" else row.delay_s <= 0

    def _pass(self, seconds: int) -> None:
        pass_time(seconds, only=[Attempt, JobRun, OutboxRow])
        self.clock_s += seconds

    def _end_lease(self, row: AttemptRow) -> None:
        Attempt.objects.filter(id=row.id).update(lease_until=Now() - A_DAY)

    def _job(self, place: int) -> JobRow:
        """Return any job run, and more often one that can be claimed."""
        rows = list(self.present.jobs.values())
        rows += 2 * [row for row in rows if row.state == "queued"]
        return rows[place % len(rows)]

    def _attempt(self, place: int) -> AttemptRow:
        """Return any attempt, and more often one that is alive."""
        rows = list(self.present.attempts.values())
        rows += 3 * [row for row in rows if row.is_alive]
        return rows[place % len(rows)]

    def _is_claimable(self, row: JobRow) -> bool:
        """Whether it could be claimed, as far as the machine's own clock tells."""
        due = self.due.get((row.id, row.last_attempt), 0) if row.reason == "retry" else 0
        return row.state == "queued" and not row.is_cancelled and due <= self.clock_s

    def _can_tell(self, row: JobRow) -> bool:
        """Whether the machine's clock is far enough from the time at which it can be claimed."""
        due = self.due.get((row.id, row.last_attempt), 0) if row.reason == "retry" else 0
        return not 0 <= due - self.clock_s <= REAL_TIME_S

    def _claim(self, worker: Worker, row: JobRow | None) -> Claim | None:
        nonce = uuid7()
        claim = worker.claim(JobRun(id=row.id) if row is not None else None, nonce=nonce)
        if claim is not None:
            self.wishes.append((nonce, worker))
            taken = self.present.jobs[claim.job_run_id]
            assert self._is_claimable(taken) or not self._can_tell(taken), f"Too early: {taken}"
        return claim


def test_whatever_runners_people_and_the_reaper_do_the_rules_hold_and_everything_ends() -> None:
    publish_text(SITE)
    publish_text(GEM)
    start("gem.build")
    run_state_machine_as_test(
        EngineMachine,
        settings=settings(
            max_examples=18,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
