"""Cancelling, in every phase."""

from __future__ import annotations

import pytest

from runs.attempts import renew_leases
from runs.begin import start_attempt
from runs.cancel import cancel_belt_run, cancel_job_run
from runs.errors import RunFinishedError
from runs.finish import finish_attempt, give_back_attempt, lose_attempt
from runs.models import RunEvent
from tests.engine import (
    Worker,
    an_end,
    attempt,
    edge_of,
    job_of,
    publish_text,
    start_text,
    state,
    states,
)

pytestmark = [pytest.mark.django_db, pytest.mark.database]

BELT = """
    product: gem
    belts:
      - name: build
        jobs:
          - {name: compile, commands: make}
          - {name: check, inputs: compile, commands: make check}
          - {name: lint, commands: make lint}
        downstreams:
          - {downstream-product: image, belts: bake}
          - {downstream-product: image, belts: tell, on: always}
"""


def test_a_waiting_job_is_cancelled_at_once_and_others_go_on() -> None:
    run = start_text(BELT)
    cancel_job_run(job_of(run, "check"), by="Eve")
    row = job_of(run, "check")
    assert (row.state, row.reason, row.message) == (
        "cancelled",
        "cancel-requested",
        "Cancelled by Eve.",
    )
    assert row.cancel_requested_by == "Eve"
    event = RunEvent.objects.filter(job_run=row).latest("id")
    assert (event.old, event.new, event.by) == ("waiting", "cancelled", "Eve")
    assert states(run) == {"compile": "queued", "check": "cancelled", "lint": "queued"}


def test_a_queued_job_is_cancelled_at_once_and_what_needs_it_is_skipped() -> None:
    run = start_text(BELT)
    cancel_job_run(job_of(run, "compile"), by="Eve")
    assert states(run) == {"compile": "cancelled", "check": "skipped", "lint": "queued"}
    assert job_of(run, "check").message == "This job waits for job compile, which was cancelled."


def test_cancel_reaches_the_runner_with_its_next_renewal() -> None:
    run = start_text(BELT)
    worker = Worker()
    attempt_id = worker.claimed(run, "compile")
    cancel_job_run(job_of(run, "compile"), by="Eve")
    assert states(run)["compile"] == "starting"
    assert renew_leases(worker.id, [attempt_id]).cancelled == {attempt_id}
    assert give_back_attempt(attempt_id, message="Cancelled.")
    row = job_of(run, "compile")
    assert (row.state, row.message, row.attempts_made) == ("cancelled", "Cancelled by Eve.", 0)
    assert attempt(attempt_id).active_key is None


def test_the_runner_of_a_running_job_ends_it_as_cancelled() -> None:
    run = start_text(BELT)
    worker = Worker()
    attempt_id = worker.begun(run, "compile")
    cancel_job_run(job_of(run, "compile"), by="Eve")
    assert states(run)["compile"] == "running"
    worker.end(attempt_id, "cancelled", message="Cancelled by Eve.")
    assert states(run) == {"compile": "cancelled", "check": "skipped", "lint": "queued"}


@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
def test_an_end_that_was_quicker_than_the_cancel_counts(outcome: str) -> None:
    run = start_text(BELT)
    worker = Worker()
    attempt_id = worker.begun(run, "compile")
    cancel_job_run(job_of(run, "compile"), by="Eve")
    worker.end(attempt_id, outcome)
    assert states(run)["compile"] == outcome


def test_a_cancelled_job_whose_runner_is_lost_is_cancelled() -> None:
    run = start_text(BELT)
    attempt_id = Worker().begun(run, "compile")
    cancel_job_run(job_of(run, "compile"), by="Eve")
    lose_attempt(attempt_id, "The runner was lost.")
    assert states(run)["compile"] == "cancelled"
    assert attempt(attempt_id).state == "errored"


def test_asking_again_changes_nothing() -> None:
    run = start_text(BELT)
    Worker().begun(run, "compile")
    cancel_job_run(job_of(run, "compile"), by="Eve")
    first = job_of(run, "compile")
    cancel_job_run(first, by="Adam")
    again = job_of(run, "compile")
    assert (again.cancel_requested_at, again.cancel_requested_by) == (
        first.cancel_requested_at,
        "Eve",
    )


def test_what_has_ended_is_not_cancelled() -> None:
    run = start_text(BELT)
    worker = Worker()
    worker.do(run, "lint")
    with pytest.raises(RunFinishedError, match=r"lint is already finished \(succeeded\)"):
        cancel_job_run(job_of(run, "lint"), by="Eve")
    cancel_belt_run(run, by="Eve")
    with pytest.raises(RunFinishedError, match=r"#1 is already finished \(cancelled\)"):
        cancel_belt_run(run, by="Eve")


def test_unclaimed_belt_run_is_cancelled_at_once() -> None:
    run = start_text(BELT)
    cancel_belt_run(run, by="Eve")
    assert set(states(run).values()) == {"cancelled"}
    assert state(run) == "cancelled"
    run.refresh_from_db()
    assert run.cancel_requested_by == "Eve"
    assert run.finished_at is not None


def test_a_belt_run_is_cancelled_once_its_runners_have_ended_their_jobs() -> None:
    run = start_text(BELT)
    worker = Worker()
    done, begun = worker.do(run, "lint"), worker.begun(run, "compile")
    cancel_belt_run(run, by="Eve")
    assert states(run) == {"compile": "running", "check": "cancelled", "lint": "succeeded"}
    assert state(run) == "running"
    worker.end(begun, "cancelled")
    assert state(run) == "cancelled"
    assert attempt(done).state == "succeeded"


def test_a_belt_run_whose_last_job_succeeds_in_spite_of_the_cancel_is_still_cancelled() -> None:
    run = start_text(BELT)
    worker = Worker()
    begun = worker.begun(run, "compile")
    cancel_belt_run(run, by="Eve")
    worker.end(begun)
    assert states(run) == {"compile": "succeeded", "check": "cancelled", "lint": "cancelled"}
    assert state(run) == "cancelled"


def test_downstream_belts_do_not_start_after_a_cancel_unless_they_ask_for_any_end() -> None:
    publish_text("product: image\nbelts:\n  - {name: bake, jobs: [{name: a, commands: b}]}\n")
    run = start_text(BELT)
    cancel_belt_run(run, by="Eve")
    closed = edge_of(run, "image.bake")
    assert closed.fired_at is None
    assert closed.note == "It was to start after success, and this run is cancelled."
    assert edge_of(run, "image.tell").fired_at is not None


def test_a_job_whose_cancel_was_asked_for_is_not_started_and_ends_as_cancelled_at_once() -> None:
    run = start_text(BELT)
    attempt_id = Worker().claimed(run, "compile")
    cancel_job_run(job_of(run, "compile"), by="Eve")
    assert not start_attempt(attempt_id, isolation="uid")
    row, ended = job_of(run, "compile"), attempt(attempt_id)
    assert (row.state, row.reason, row.message) == (
        "cancelled",
        "cancel-requested",
        "Cancelled by Eve.",
    )
    assert (ended.state, ended.reason, ended.started_at) == ("cancelled", "cancel-requested", None)
    assert not RunEvent.objects.filter(job_run=row, new="running").exists()
    assert states(run)["check"] == "skipped"
    assert not start_attempt(attempt_id, isolation="uid")


def test_no_job_of_a_cancelled_belt_run_is_started() -> None:
    run = start_text(BELT)
    worker = Worker()
    first, second = worker.claimed(run, "compile"), worker.claimed(run, "lint")
    cancel_belt_run(run, by="Eve")
    assert not start_attempt(first, isolation="uid")
    assert not start_attempt(second, isolation="uid")
    assert set(states(run).values()) == {"cancelled"}
    assert state(run) == "cancelled"


def test_a_start_whose_answer_was_lost_is_not_confirmed_after_a_cancel() -> None:
    """Who asks again has executed nothing yet."""
    run = start_text(BELT)
    attempt_id = Worker().begun(run, "compile")
    cancel_job_run(job_of(run, "compile"), by="Eve")
    assert not start_attempt(attempt_id, isolation="uid")
    assert (states(run)["compile"], attempt(attempt_id).state) == ("cancelled", "cancelled")


def test_a_runner_that_was_not_let_start_and_tells_of_its_end_changes_nothing() -> None:
    run = start_text(BELT)
    worker = Worker()
    attempt_id = worker.claimed(run, "compile")
    cancel_job_run(job_of(run, "compile"), by="Eve")
    assert not start_attempt(attempt_id, isolation="uid")
    wish = worker.wish()
    finished = finish_attempt(attempt_id, an_end("cancelled"), claim_next=wish)
    assert not finished.stored
    assert finished.claim is not None
    assert finished.claim.job_run_id == job_of(run, "lint").id
