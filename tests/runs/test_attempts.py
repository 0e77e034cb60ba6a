"""Claiming, starting and keeping attempts: the database decides, whatever the hints say."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.utils import timezone

from products.identifiers import uuid7
from products.models import OutboxRow
from runs.attempts import renew_leases
from runs.begin import start_attempt
from runs.cancel import cancel_job_run
from runs.finish import give_back_attempt, lose_attempt, lose_attempts_of_other_boots
from runs.models import Attempt, BeltRun, JobRun, RunEvent
from runs.release import frozen_run
from runs.transitions import insert_attempt
from tests import builders
from tests.engine import Worker, attempt, job_of, pass_time, start_text, state, states

pytestmark = [pytest.mark.django_db, pytest.mark.database]

TWO = """
    product: gem
    belts:
      - name: build
        jobs:
          - {name: first, commands: "true"}
          - {name: second, commands: "true"}
"""


# --- Claims ---------------------------------------------------------------------------------------
def test_a_claim_makes_the_attempt_moves_the_job_and_begins_the_belt_run() -> None:
    run = start_text(TWO)
    worker = Worker(name="r1")
    claim = worker.claim()
    assert claim is not None
    row = job_of(run, "first")
    assert (claim.job_run_id, claim.number) == (row.id, 1)
    assert (row.state, row.reason, row.message) == ("starting", "claimed", "Claimed by runner r1.")
    made = attempt(claim.attempt_id)
    assert (made.state, made.active_key, made.runner_id) == ("starting", row.id, worker.id)
    assert made.lease_until > made.claimed_at
    run.refresh_from_db()
    assert run.state == "running"
    assert run.started_at is not None


def test_the_same_nonce_returns_the_same_claim() -> None:
    start_text(TWO)
    worker, nonce = Worker(), uuid7()
    first = worker.claim(nonce=nonce)
    assert worker.claim(nonce=nonce) == first
    assert Attempt.objects.count() == 1


def test_a_nonce_whose_attempt_has_ended_claims_nothing_any_more() -> None:
    run = start_text(TWO)
    worker, nonce = Worker(), uuid7()
    claim = worker.claim(job_of(run, "first"), nonce=nonce)
    assert claim is not None
    assert lose_attempt(claim.attempt_id, "It was lost.")
    assert worker.claim(nonce=nonce) is None
    assert Attempt.objects.count() == 1


def test_what_has_been_claimed_is_not_claimed_again() -> None:
    run = start_text(TWO)
    row = job_of(run, "first")
    assert Worker().claim(row)
    assert Worker().claim(row) is None
    assert Worker().claim() is not None
    assert Worker().claim() is None


def test_the_oldest_job_run_of_the_queues_is_claimed_first() -> None:
    old, new, other = (builders.a_queued_job_run(queue=queue) for queue in ("a", "b", "c"))
    pass_time(5, only=[JobRun])
    JobRun.objects.filter(id=new.id).update(available_at=timezone.now())
    worker = Worker(queues=("a", "b"))
    claims = [worker.claim(), worker.claim(), worker.claim()]
    assert [claim and claim.job_run_id for claim in claims] == [old.id, new.id, None]
    other.refresh_from_db()
    assert other.state == "queued"


def test_a_job_run_of_another_queue_is_not_claimed_even_if_a_hint_names_it() -> None:
    row = builders.a_queued_job_run(queue="gpu")
    assert Worker().claim(row) is None
    assert Worker(queues=("gpu",)).claim(row) is not None


def test_a_runner_is_given_no_job_run_that_its_protocol_does_not_understand() -> None:
    row = builders.a_queued_job_run(protocol=2)
    assert Worker(protocol=1).claim() is None
    assert Worker(protocol=1).claim(row) is None
    assert Worker(protocol=2).claim() is not None


def test_a_delayed_job_run_is_claimed_once_its_time_has_come() -> None:
    row = builders.a_queued_job_run()
    pass_time(-60, only=[JobRun])
    assert Worker().claim(row) is None
    assert Worker().claim() is None
    pass_time(60, only=[JobRun])
    assert Worker().claim() is not None


def test_a_job_run_whose_cancel_was_asked_for_is_not_claimed() -> None:
    run = start_text(TWO)
    cancel_job_run(job_of(run, "first"), by="Eve")
    claim = Worker().claim()
    assert claim is not None
    assert claim.job_run_id == job_of(run, "second").id
    assert Worker().claim() is None


def test_many_job_runs_are_tried_before_giving_up() -> None:
    """The oldest of the queue are held by belt runs in which others were quicker."""
    rows = [builders.a_queued_job_run() for _ in range(25)]
    claimed = {claim.job_run_id for _ in rows if (claim := Worker().claim()) is not None}
    assert claimed == {row.id for row in rows}


# --- The start ------------------------------------------------------------------------------------
def test_a_start_is_committed_once_and_tells_so_again_when_asked_again() -> None:
    run = start_text(TWO)
    attempt_id = Worker().claimed(run, "first")
    assert start_attempt(attempt_id, isolation="uid")
    began = attempt(attempt_id)
    assert (began.state, began.isolation, job_of(run, "first").state) == (
        "running",
        "uid",
        "running",
    )
    assert began.started_at is not None
    events = RunEvent.objects.count()
    assert start_attempt(attempt_id, isolation="uid")
    assert RunEvent.objects.count() == events
    assert attempt(attempt_id).started_at == began.started_at


def test_the_server_has_a_deadline_after_timeout_and_post_run() -> None:
    run = start_text(TWO.replace('"true"}', '"true", timeout: 100s, post-run-timeout: 30s}'))
    attempt_id = Worker().begun(run, "first")
    began = attempt(attempt_id)
    assert began.deadline_at is not None
    assert began.started_at is not None
    assert (began.deadline_at - began.started_at).total_seconds() == pytest.approx(250, abs=1)


def test_an_attempt_whose_lease_has_ended_is_not_started() -> None:
    run = start_text(TWO)
    attempt_id = Worker().claimed(run, "first")
    pass_time(61)
    assert not start_attempt(attempt_id, isolation="uid")
    assert attempt(attempt_id).state == "starting"


@pytest.mark.parametrize("how", ["lost", "given back", "unknown"])
def test_an_attempt_that_has_ended_or_never_was_is_not_started(how: str) -> None:
    run = start_text(TWO)
    attempt_id = Worker().claimed(run, "first")
    if how == "lost":
        lose_attempt(attempt_id, "It was lost.")
    elif how == "given back":
        give_back_attempt(attempt_id, message="No zygote.")
    else:
        attempt_id = uuid7()
    assert not start_attempt(attempt_id, isolation="uid")
    assert job_of(run, "first").state in ("queued", "starting")


@pytest.mark.parametrize("run_is_remembered", [False, True])
def test_an_attempt_whose_run_was_removed_meanwhile_is_not_started(run_is_remembered: bool) -> None:
    run = start_text(TWO)
    attempt_id = Worker().claimed(run, "first")
    if run_is_remembered:
        frozen_run(run.id)
    BeltRun.objects.filter(id=run.id).delete()
    assert not start_attempt(attempt_id, isolation="uid")


# --- Leases ---------------------------------------------------------------------------------------
def test_one_renewal_keeps_all_attempts_of_a_runner_and_carries_cancels_back() -> None:
    run = start_text(TWO)
    worker = Worker()
    first, second = worker.begun(run, "first"), worker.claimed(run, "second")
    pass_time(50)
    cancel_job_run(job_of(run, "second"), by="Eve")
    renewal = renew_leases(worker.id, [first, second])
    assert renewal.alive == {first, second}
    assert renewal.cancelled == {second}
    pass_time(50)
    assert renew_leases(worker.id, [first, second]).alive == {first, second}


def test_a_lease_that_has_ended_is_not_renewed() -> None:
    run = start_text(TWO)
    worker = Worker()
    attempt_id = worker.begun(run, "first")
    pass_time(61)
    assert renew_leases(worker.id, [attempt_id]).alive == frozenset()


def test_a_runner_renews_nothing_of_others_and_nothing_that_has_ended() -> None:
    run = start_text(TWO)
    worker = Worker()
    mine, ended = worker.begun(run, "first"), worker.do(run, "second")
    assert renew_leases(Worker().id, [mine]).alive == frozenset()
    assert renew_leases(worker.id, [mine, ended, uuid7()]).alive == {mine}


# --- Attempts that never start --------------------------------------------------------------------
def test_an_attempt_that_never_started_is_replaced_without_counting() -> None:
    run = start_text(TWO)
    worker = Worker()
    attempt_id = worker.claimed(run, "first")
    OutboxRow.objects.all().delete()
    assert give_back_attempt(attempt_id, message="The runner drains.")
    row = job_of(run, "first")
    assert (row.state, row.reason, row.attempts_made, row.last_attempt) == ("queued", "ready", 0, 1)
    assert row.message == "Attempt 1 never started: The runner drains."
    assert OutboxRow.objects.get().kind == "hint"
    ended = attempt(attempt_id)
    assert (ended.state, ended.reason, ended.active_key) == ("errored", "runner-lost", None)
    again = worker.claim(row)
    assert again is not None
    assert again.number == 2


@pytest.mark.parametrize("retry", ["", ", retry: {max: 3, on: [runner-lost]}"])
def test_attempts_that_never_start_have_20_replacements_and_then_the_job_ends(retry: str) -> None:
    run = start_text(TWO.replace('first, commands: "true"', f'first, commands: "true"{retry}'))
    worker = Worker()
    for number in range(1, 22):
        row = job_of(run, "first")
        assert (row.state, row.last_attempt) == ("queued", number - 1)
        give_back_attempt(worker.claimed(run, "first"), message="The runner drains.")
    row = job_of(run, "first")
    assert (row.state, row.reason) == ("errored", "runner-lost")
    assert (row.last_attempt, row.attempts_made) == (21, 0)
    assert row.message == (
        "21 attempts never started, so no more are made. The last: The runner drains."
    )


def test_attempts_that_were_tried_do_not_use_up_the_replacements() -> None:
    run = start_text(TWO.replace('first, commands: "true"', 'first, commands: "true", retry: 1'))
    worker = Worker()
    for _ in range(20):
        give_back_attempt(worker.claimed(run, "first"), message="The runner drains.")
    worker.do(run, "first", "failed")
    assert states(run)["first"] == "queued"
    give_back_attempt(worker.claimed(run, "first"), message="The runner drains.")
    row = job_of(run, "first")
    assert (row.state, row.last_attempt, row.attempts_made) == ("errored", 22, 1)
    assert row.message.startswith("21 attempts never started, so no more are made.")


def test_only_an_attempt_that_has_not_started_is_given_back() -> None:
    run = start_text(TWO)
    attempt_id = Worker().begun(run, "first")
    assert not give_back_attempt(attempt_id, message="Too late.")
    assert states(run)["first"] == "running"
    assert not give_back_attempt(uuid7(), message="Never was.")


def test_an_attempt_that_was_lost_after_its_start_ends_the_job_as_errored() -> None:
    run = start_text(TWO)
    attempt_id = Worker().begun(run, "first")
    assert lose_attempt(attempt_id, "The runner r1 was lost.")
    row = job_of(run, "first")
    assert (row.state, row.reason, row.message) == (
        "errored",
        "runner-lost",
        "The runner r1 was lost.",
    )
    assert not lose_attempt(attempt_id, "Again.")


def test_a_restarted_runner_ends_what_its_former_starts_left() -> None:
    run = start_text(TWO)
    before = Worker()
    begun, claimed = before.begun(run, "first"), before.claimed(run, "second")
    other = builders.an_attempt()
    now = Worker(id=before.id, boot_id=uuid4())
    assert lose_attempts_of_other_boots(now.id, now.boot_id) == 2
    assert states(run) == {"first": "errored", "second": "queued"}
    assert attempt(begun).state == attempt(claimed).state == "errored"
    name = attempt(begun).runner_name
    assert attempt(begun).message == f"The runner {name} restarted while it had this job."
    assert attempt(other.id).state == "running"
    assert lose_attempts_of_other_boots(now.id, now.boot_id) == 0


def test_an_attempt_that_is_alive_keeps_another_from_being_inserted() -> None:
    row = builders.a_job_run("running")
    builders.an_attempt(row)
    again = Attempt(
        job_run=row,
        number=2,
        nonce=uuid7(),
        runner_id=uuid7(),
        runner_name="r2",
        boot_id=uuid4(),
        lease_until=timezone.now(),
        claimed_at=timezone.now(),
    )
    with pytest.raises(Exception, match=r"(?i)unique"):
        insert_attempt(again)


def test_a_belt_run_stays_pending_until_its_first_claim() -> None:
    run = start_text(TWO)
    assert state(run) == "pending"
    assert BeltRun.objects.unfinished().count() == 1
    Worker().claim()
    assert state(run) == "running"
