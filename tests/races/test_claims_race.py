"""Many at one job, from one instant on."""

from __future__ import annotations

from functools import partial
from threading import Event
from uuid import UUID, uuid4

import pytest
from django.db import transaction

from products.models import OutboxRow
from runs.attempts import Claim, renew_leases
from runs.begin import start_attempt
from runs.cancel import cancel_belt_run, cancel_job_run
from runs.errors import RunFinishedError
from runs.finish import Finished, finish_attempt, give_back_attempt, lose_attempt
from runs.logs import ChunkToStore, append_chunks
from runs.models import Attempt, BeltRun, JobRun, LogChunk, Output, RunEvent
from tests.engine import Worker, an_end, job_of, publish_text, start, start_text, state, states
from tests.invariants import assert_invariants
from tests.races.locks import until_somebody_waits
from tests.waiting import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

ONE = """
    product: gem
    belts:
      - name: build
        jobs:
          - {name: compile, commands: make, outputs: [{String: FILE}]}
          - {name: check, inputs: compile, commands: make check}
"""
WIDE = """
    product: wide
    belts:
      - name: build
        jobs:
          - {name: a, commands: a}
          - {name: b, commands: b}
          - {name: c, commands: c}
          - {name: d, commands: d}
        downstreams: [{downstream-product: gem, belts: build}]
"""
ROUNDS = range(8)


def raised(results: object) -> list[Exception]:
    return [each for each in results if isinstance(each, Exception)]  # type: ignore[attr-defined]


def test_sixteen_deliveries_of_one_hint_make_one_start() -> None:
    run = start_text(ONE)
    row = job_of(run, "compile")

    def hinted() -> bool:
        claim = Worker().claim(row)
        return claim is not None and start_attempt(claim.attempt_id, isolation="uid")

    results = at_once(*[hinted] * 16)
    assert raised(results) == []
    assert results.count(True) == 1
    assert Attempt.objects.count() == 1
    assert RunEvent.objects.filter(job_run=row, new="running").count() == 1


def test_one_runner_that_asks_twice_at_once_with_one_nonce_has_one_claim() -> None:
    publish_text(ONE)
    for _ in ROUNDS:
        run = start("gem.build")
        worker, nonce = Worker(), uuid4()
        results = at_once(*[partial(worker.claim, nonce=nonce)] * 2)
        assert raised(results) == []
        claims = {each for each in results if isinstance(each, Claim)}
        assert len(claims) == 1
        assert Attempt.objects.filter(job_run__belt_run=run).count() == 1
        give_back_attempt(claims.pop().attempt_id, message="Enough.")
        cancel_belt_run(run, by="a test")


def test_many_slots_that_are_free_at_once_each_find_a_job() -> None:
    publish_text(ONE)
    rows = [job_of(start("gem.build"), "compile") for _ in range(24)]
    results = at_once(*[Worker().claim for _ in rows])
    assert raised(results) == []
    claimed = {each.job_run_id for each in results if isinstance(each, Claim)}
    assert claimed == {row.id for row in rows}


def test_the_jobs_of_one_belt_run_are_claimed_by_many_at_once_and_it_begins_once() -> None:
    publish_text(ONE)
    run = start_text(WIDE)
    results = at_once(*[Worker().claim for _ in range(8)])
    assert raised(results) == []
    assert len({each.job_run_id for each in results if isinstance(each, Claim)}) == 4
    assert RunEvent.objects.filter(belt_run=run, job_run=None, new="running").count() == 1


def test_a_start_and_the_loss_of_the_attempt_do_not_both_happen() -> None:
    publish_text(ONE)
    for _ in ROUNDS:
        run = start("gem.build")
        attempt_id = Worker().claimed(run, "compile")
        started, lost = at_once(
            partial(start_attempt, attempt_id, isolation="uid"),
            partial(lose_attempt, attempt_id, "It was lost."),
        )
        assert lost is True
        # Lost before the start: replaced. After it: its job has ended.
        expected = "errored" if started else "queued"
        assert states(run)["compile"] == expected
        if not started:
            cancel_belt_run(run, by="a test")


def test_who_loses_an_attempt_that_starts_at_this_very_moment_ends_what_has_started() -> None:
    """A start does not wait for who holds the belt run, so it may come after that has looked."""
    run = start_text(ONE)
    attempt_id = Worker().claimed(run, "compile")
    begun = Event()

    def start_slowly() -> None:
        with transaction.atomic():
            assert start_attempt(attempt_id, isolation="uid")
            begun.set()
            until_somebody_waits()

    def lose() -> bool:
        assert begun.wait(10)
        return lose_attempt(attempt_id, "It was lost.")

    assert at_once(start_slowly, lose) == [None, True]
    assert states(run)["compile"] == "errored"
    assert RunEvent.objects.filter(job_run__belt_run=run, new="running").count() == 1


def test_a_cancel_that_comes_while_an_attempt_starts_is_told_to_its_runner() -> None:
    run = start_text(ONE)
    worker = Worker()
    attempt_id, row = worker.claimed(run, "compile"), job_of(run, "compile")
    begun = Event()

    def start_slowly() -> None:
        with transaction.atomic():
            assert start_attempt(attempt_id, isolation="uid")
            begun.set()
            until_somebody_waits()

    def cancel() -> None:
        assert begun.wait(10)
        cancel_job_run(row, by="Eve")

    assert at_once(start_slowly, cancel) == [None, None]
    assert states(run)["compile"] == "running"
    assert renew_leases(worker.id, [attempt_id]).cancelled == {attempt_id}


def test_a_cancel_and_an_end_leave_one_state_for_good() -> None:
    publish_text(ONE)
    seen = set()
    for _ in ROUNDS:
        run = start("gem.build")
        attempt_id = Worker().begun(run, "compile")
        row = job_of(run, "compile")
        ended, cancelled = at_once(
            partial(finish_attempt, attempt_id, an_end(outputs={"FILE": "f"})),
            partial(cancel_job_run, row, by="Eve"),
        )
        assert isinstance(ended, Finished)
        assert ended.stored
        assert cancelled is None or isinstance(cancelled, RunFinishedError)
        assert states(run)["compile"] == "succeeded"
        seen.add(type(cancelled))
        cancel_belt_run(run, by="a test")
    assert seen


def test_a_cancel_and_a_claim_leave_no_claimed_job_that_is_not_told() -> None:
    publish_text(ONE)
    for _ in ROUNDS:
        run = start("gem.build")
        row = job_of(run, "compile")
        claim, cancelled = at_once(
            partial(Worker().claim, row),
            partial(cancel_belt_run, run, by="Eve"),
        )
        assert cancelled is None
        present = job_of(run, "compile")
        if isinstance(claim, Claim):
            assert (present.state, bool(present.cancel_requested_at)) == ("starting", True)
            give_back_attempt(claim.attempt_id, message="Cancelled.")
        assert state(run) == "cancelled"


def test_nothing_starts_after_a_cancel_was_accepted() -> None:
    publish_text(ONE)
    for _ in ROUNDS:
        run = start("gem.build")
        attempt_id = Worker().claimed(run, "compile")
        started, cancelled = at_once(
            partial(start_attempt, attempt_id, isolation="uid"),
            partial(cancel_job_run, job_of(run, "compile"), by="Eve"),
        )
        assert cancelled is None
        # Started before the cancel: its runner is told. After it: ended without a start.
        assert states(run)["compile"] == ("running" if started else "cancelled")
        began = RunEvent.objects.filter(job_run__belt_run=run, new="running")
        assert began.exists() == started
        if started:
            finish_attempt(attempt_id, an_end("cancelled"))
        assert state(run) == "cancelled"


def test_several_ends_of_one_attempt_store_one() -> None:
    publish_text(ONE)
    for _ in ROUNDS:
        run = start("gem.build")
        attempt_id = Worker().begun(run, "compile")

        def end(outcome: str, attempt_id: UUID = attempt_id) -> bool:
            return finish_attempt(attempt_id, an_end(outcome, outputs={"FILE": outcome})).stored

        results = at_once(
            partial(end, "succeeded"),
            partial(end, "failed"),
            partial(end, "errored"),
            partial(lose_attempt, attempt_id, "It was lost."),
        )
        assert raised(results) == []
        assert results.count(True) == 1
        if not BeltRun.objects.get(id=run.id).is_finished:
            cancel_belt_run(run, by="a test")


def test_two_last_jobs_that_end_at_once_settle_the_run_once_and_fire_once() -> None:
    publish_text(ONE)
    publish_text(WIDE)
    for _ in ROUNDS:
        run = start("wide.build")
        worker = Worker()
        attempts = [worker.begun(run, name) for name in "abcd"]
        results = at_once(*[partial(worker.end, each) for each in attempts])
        assert raised(results) == []
        assert state(run) == "succeeded"
        ends = RunEvent.objects.filter(belt_run=run, job_run=None, new="succeeded")
        assert ends.count() == 1
        edge = run.edges.get()
        assert edge.fired_at is not None
        rows = OutboxRow.objects.filter(kind="downstream", payload__edge=str(edge.id))
        assert rows.count() == 1


def test_an_end_with_a_wish_and_others_who_claim_never_share_a_job() -> None:
    publish_text(ONE)
    for _ in ROUNDS:
        run = start("gem.build")
        worker = Worker()
        attempt_id, wish = worker.begun(run, "compile"), worker.wish()
        row = job_of(run, "check")
        end = an_end(outputs={"FILE": "f"})
        results = at_once(
            partial(finish_attempt, attempt_id, end, claim_next=wish),
            *[partial(Worker().claim, row)] * 4,
        )
        assert raised(results) == []
        assert Attempt.objects.filter(job_run=row).count() <= 1
        if not BeltRun.objects.get(id=run.id).is_finished:
            cancel_belt_run(run, by="a test")
            for each in Attempt.objects.filter(active_key__isnull=False):
                give_back_attempt(each.id, message="Enough.")


def test_log_that_comes_while_the_attempt_ends_is_whole_or_refused() -> None:
    publish_text(ONE)
    for _ in ROUNDS:
        run = start("gem.build")
        attempt_id = Worker().begun(run, "compile")
        piece = ChunkToStore(0, "stdout", 0, b"a line\n")
        written, _ = at_once(
            partial(append_chunks, attempt_id, [piece]),
            partial(lose_attempt, attempt_id, "It was lost."),
        )
        assert LogChunk.objects.filter(attempt_id=attempt_id).count() == int(written is True)


def test_outputs_are_handed_on_once_when_the_answer_to_the_end_was_lost() -> None:
    run = start_text(ONE)
    attempt_id = Worker().begun(run, "compile")
    end = an_end(outputs={"FILE": "f"})
    results = at_once(*[partial(finish_attempt, attempt_id, end)] * 8)
    assert raised(results) == []
    assert [each.stored for each in results if isinstance(each, Finished)].count(True) == 1
    assert Output.objects.count() == 1
    assert JobRun.objects.get(name="check").state == "queued"
    assert_invariants()
