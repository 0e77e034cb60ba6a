"""Runners that do anything in any order, late and twice: the engine's rules hold at every step.

A machine of Hypothesis calls the verbs as slots, people and the reaper do. It knows three rules of
its own, which it checks after each step; at the end of each example everything is driven to its
end and the invariants of all rows are checked.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.db import transaction
from django.db.models import Count
from django.db.models.functions import Now
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from products.identifiers import uuid7
from runs.attempts import Claim, renew_leases
from runs.cancel import cancel_belt_run, cancel_job_run
from runs.errors import RunFinishedError
from runs.finish import (
    finish_attempt,
    give_back_attempt,
    lose_attempts_of_other_boots,
)
from runs.models import Attempt, BeltRun, JobRun, RunEvent
from runs.reaper import force_cancels, lose_expired_attempts, settle_stragglers, write_hints_again
from runs.states import BELT_FINISHED, FINISHED
from tests.engine import Worker, an_end, attempt, deliver_all, publish_text, start, work_off
from tests.invariants import assert_invariants

pytestmark = [pytest.mark.django_db, pytest.mark.database]

GEM = """
    product: gem
    belts:
      - name: build
        jobs:
          - {name: compile, commands: make, outputs: [{String: FILE}]}
          - {name: flaky, commands: try, retry: {max: 2, on: [failure, runner-lost]}}
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
ALIVE = ("starting", "running")
A_DAY = timedelta(days=1)

places = st.integers(0, 30)
workers = st.integers(0, 2)
outcomes = st.sampled_from(["succeeded", "failed", "errored", "cancelled"])


class EngineMachine(RuleBasedStateMachine):
    """Three workers, some people and the reaper at the runs of two belts."""

    attempts = Bundle("attempts")

    def __init__(self) -> None:
        super().__init__()
        self._example = transaction.atomic()
        self._example.__enter__()
        self.workers = [Worker(name=f"worker-{number}") for number in range(3)]
        self.wishes: list[tuple[UUID, Worker]] = []
        self.ends: dict[UUID, str] = {}
        self.seen: dict[UUID, tuple[int, int]] = {}

    def teardown(self) -> None:
        """Drive everything to its end, look at all of it, and forget it."""
        try:
            if BeltRun.objects.exists():
                self._drive_to_the_end()
                self.states_follow_the_rules()
                assert_invariants(drained=True)
        finally:
            transaction.set_rollback(True)
            self._example.__exit__(None, None, None)

    def _drive_to_the_end(self) -> None:
        self._pass_leases()
        lose_expired_attempts()
        work_off(Worker(name="last"), lambda _job: OUTPUTS)
        settle_stragglers()
        deliver_all()

    @initialize()
    def publish(self) -> None:
        """Publish both belts and start the first."""
        publish_text(SITE)
        publish_text(GEM)
        start("gem.build")

    # --- People -----------------------------------------------------------------------------------
    @rule()
    def start_another(self) -> None:
        """Start one more run, up to a few."""
        if BeltRun.objects.count() < 4:
            start("gem.build")

    @rule(place=places)
    def cancel_a_job(self, place: int) -> None:
        """Cancel any job run; one that has ended refuses."""
        row = self._job(place)
        try:
            cancel_job_run(row, by="somebody")
        except RunFinishedError:
            assert row.state in FINISHED

    @rule(place=places)
    def cancel_a_run(self, place: int) -> None:
        """Cancel any belt run; one that has ended refuses."""
        runs = BeltRun.objects.order_by("id")
        run = runs[place % runs.count()]
        try:
            cancel_belt_run(run, by="somebody")
        except RunFinishedError:
            assert run.state in BELT_FINISHED

    # --- Workers ----------------------------------------------------------------------------------
    @rule(target=attempts, who=workers, place=places)
    def claim_by_hint(self, who: int, place: int) -> UUID | MultipleResults[UUID]:
        """Hear of any job run, whatever became of it since, and claim what can be claimed."""
        row = self._job(place)
        claim = self._claim(self.workers[who], row)
        can_be = row.state == "queued" and row.cancel_requested_at is None
        assert (claim is not None) == can_be, f"{row} is {row.state} and the claim was {claim}."
        return multiple() if claim is None else claim.attempt_id

    @rule(target=attempts, who=workers)
    def claim_the_oldest(self, who: int) -> UUID | MultipleResults[UUID]:
        """Look for work without being told."""
        claim = self._claim(self.workers[who], None)
        return multiple() if claim is None else claim.attempt_id

    @rule(place=places)
    def claim_again_after_a_lost_answer(self, place: int) -> None:
        """The same wish gets the same claim, and none once that attempt has ended."""
        if self.wishes:
            nonce, worker = self.wishes[place % len(self.wishes)]
            made = Attempt.objects.get(nonce=nonce)
            again = worker.claim(nonce=nonce)
            alive = made.state in ALIVE
            assert again == (Claim(made.id, made.job_run_id, made.number) if alive else None)

    @rule(target=attempts, who=workers)
    def claim_and_start(self, who: int) -> UUID | MultipleResults[UUID]:
        """Do both, as a slot does where nothing comes between."""
        worker = self.workers[who]
        claim = self._claim(worker, None)
        if claim is None:
            return multiple()
        assert worker.start(claim)
        return claim.attempt_id

    @rule(attempt_id=attempts)
    def start(self, attempt_id: UUID) -> None:
        """Start any attempt; only one that is alive and whose lease goes on may be executed."""
        before = attempt(attempt_id)
        has_lease = Attempt.objects.filter(id=attempt_id, lease_until__gt=Now()).exists()
        may = before.state == "running" or (before.state == "starting" and has_lease)
        claim = Claim(attempt_id, before.job_run_id, before.number)
        assert self.workers[0].start(claim) == may

    @rule(attempt_id=attempts, outcome=outcomes)
    def finish(self, attempt_id: UUID, outcome: str) -> None:
        """End any attempt: a second time, or as a zombie, nothing is stored."""
        before = attempt(attempt_id)
        if before.state == "starting" and outcome == "succeeded":
            outcome = "errored"
        # A runner tells of a cancel only where it was asked for one.
        if outcome == "cancelled" and before.job_run.cancel_requested_at is None:
            outcome = "failed"
        finished = self.workers[0].end(attempt_id, outcome, outputs=OUTPUTS)
        assert finished.stored == (before.state in ALIVE)

    @rule(target=attempts, attempt_id=attempts, who=workers)
    def finish_and_claim_next(self, attempt_id: UUID, who: int) -> UUID | MultipleResults[UUID]:
        """End an attempt and claim in one call, whose answer is lost and which is repeated."""
        worker, end = self.workers[who], an_end("failed")
        was_alive = attempt(attempt_id).state in ALIVE
        wish = worker.wish()
        first = finish_attempt(attempt_id, end, claim_next=wish)
        second = finish_attempt(attempt_id, end, claim_next=wish)
        assert (first.stored, second.stored) == (was_alive, False)
        assert first.claim == second.claim
        if first.claim is None:
            return multiple()
        self.wishes.append((wish.nonce, worker))
        return first.claim.attempt_id

    @rule(who=workers)
    def renew(self, who: int) -> None:
        """Renew all that the worker ever had; only what is still its own lives on."""
        own = Attempt.objects.filter(runner_id=self.workers[who].id)
        living = own.filter(state__in=ALIVE, lease_until__gt=Now())
        expected = frozenset(living.values_list("id", flat=True))
        renewal = renew_leases(self.workers[who].id, list(own.values_list("id", flat=True)))
        assert renewal.alive == expected
        assert renewal.cancelled <= expected

    @rule(attempt_id=attempts)
    def give_back(self, attempt_id: UUID) -> None:
        """Give an attempt back; only one that has not started is replaced."""
        before = attempt(attempt_id).state
        assert give_back_attempt(attempt_id, message="It ends.") == (before == "starting")

    @rule(who=workers)
    def start_the_worker_anew(self, who: int) -> None:
        """Whatever it had is lost."""
        old = self.workers[who]
        worker = self.workers[who] = Worker(id=old.id, name=old.name)
        lose_attempts_of_other_boots(worker.id, worker.boot_id)
        assert not Attempt.objects.filter(runner_id=worker.id, state__in=ALIVE).exists()

    # --- Time and the server ----------------------------------------------------------------------
    @rule(attempt_id=attempts)
    def let_a_lease_end(self, attempt_id: UUID) -> None:
        """Let a lease end unnoticed: from now on its holder is a zombie."""
        Attempt.objects.filter(id=attempt_id).update(lease_until=Now() - A_DAY)

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
    def states_follow_the_rules(self) -> None:
        """One attempt lives at the most; what has ended stays so; no job starts too often."""
        alive = Attempt.objects.filter(state__in=ALIVE).values("job_run")
        assert not alive.annotate(count=Count("id")).filter(count__gt=1).exists()
        present = dict(JobRun.objects.values_list("id", "state"))
        present |= dict(BeltRun.objects.values_list("id", "state"))
        present |= dict(Attempt.objects.values_list("id", "state"))
        assert {key: present.get(key) for key in self.ends} == self.ends
        self.ends = {key: state for key, state in present.items() if state in FINISHED}
        started = Attempt.objects.filter(started_at__isnull=False)
        most = started.values("job_run", "job_run__name").annotate(count=Count("id"))
        for row in most:
            assert row["count"] <= STARTS.get(row["job_run__name"], 1), row

    @invariant()
    def moves_are_counted(self) -> None:
        """A belt run in which something moved has counted it."""
        counts = dict(RunEvent.objects.values_list("belt_run").annotate(count=Count("id")))
        moves = dict(BeltRun.objects.values_list("id", "moves"))
        for run_id, (events, before) in self.seen.items():
            moved = counts[run_id] > events
            assert moves[run_id] > before if moved else moves[run_id] >= before
        self.seen = {run_id: (counts[run_id], moves[run_id]) for run_id in moves}

    def _job(self, place: int) -> JobRun:
        rows = JobRun.objects.order_by("belt_run_id", "position")
        found: JobRun = rows[place % rows.count()]
        return found

    def _claim(self, worker: Worker, row: JobRun | None) -> Claim | None:
        nonce = uuid7()
        claim = worker.claim(row, nonce=nonce)
        if claim is not None:
            self.wishes.append((nonce, worker))
        return claim

    def _pass_leases(self) -> None:
        Attempt.objects.filter(state__in=ALIVE).update(lease_until=Now() - A_DAY)


def test_whatever_runners_people_and_the_reaper_do_the_rules_hold_and_everything_ends() -> None:
    run_state_machine_as_test(
        EngineMachine,
        settings=settings(
            max_examples=30,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
