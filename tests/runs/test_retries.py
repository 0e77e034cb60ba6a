"""Whether a job is tried again: pure rules, and what the engine makes of them."""

from __future__ import annotations

import pytest

from belts.spec.shapes import RetrySpec
from products.models import OutboxRow
from runs.cancel import cancel_belt_run, cancel_job_run
from runs.finish import lose_attempt
from runs.retries import Retry, kind_of, retry_after
from runs.states import AttemptState, Reason
from tests.engine import Worker, attempt, job_of, pass_time, start_text, state

pytestmark = [pytest.mark.django_db, pytest.mark.database]

A = AttemptState


def belt(retry: str) -> str:
    return f"""
        product: gem
        belts:
          - name: build
            jobs:
              - {{name: compile, commands: make, retry: {retry}, outputs: [{{String: FILE}}]}}
              - {{name: pack, inputs: compile, commands: pack}}
    """


# --- Pure -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("state", "reason", "kind"),
    [
        (A.FAILED, Reason.EXIT_STATUS, "failure"),
        (A.FAILED, Reason.OUTPUT_MISSING, "failure"),
        (A.FAILED, Reason.OUTPUT_INVALID, "failure"),
        (A.FAILED, Reason.POST_RUN, "failure"),
        (A.FAILED, Reason.TIMED_OUT, "timeout"),
        (A.ERRORED, Reason.RUNNER_LOST, "runner-lost"),
        (A.ERRORED, Reason.SETUP, "setup"),
        (A.ERRORED, Reason.INTERNAL, "setup"),
        (A.ERRORED, Reason.NO_SOURCE, ""),
        (A.ERRORED, Reason.CREDENTIAL_MISSING, ""),
        (A.CANCELLED, Reason.CANCEL_REQUESTED, ""),
        (A.SUCCEEDED, Reason.FINISHED, ""),
    ],
)
def test_each_end_has_its_word_in_the_rule(state: A, reason: Reason, kind: str) -> None:
    assert kind_of(state, reason) == kind


@pytest.mark.parametrize(
    ("rule", "kind", "code", "made", "expected"),
    [
        (RetrySpec(), "failure", 1, 1, None),
        (RetrySpec(max=2), "failure", 1, 1, Retry(0)),
        (RetrySpec(max=2), "failure", 1, 2, Retry(0)),
        (RetrySpec(max=2), "failure", 1, 3, None),
        (RetrySpec(max=2), "setup", None, 1, Retry(0)),
        (RetrySpec(max=2), "timeout", None, 1, None),
        (RetrySpec(max=2), "runner-lost", None, 1, None),
        (RetrySpec(max=2, on=("timeout",)), "timeout", None, 1, Retry(0)),
        (RetrySpec(max=2, on=("runner-lost",)), "runner-lost", None, 1, Retry(0)),
        (RetrySpec(max=2, exit_codes=(75,)), "failure", 75, 1, Retry(0)),
        (RetrySpec(max=2, exit_codes=(75,)), "failure", 1, 1, None),
        (RetrySpec(max=2, exit_codes=(75,)), "setup", None, 1, Retry(0)),
        (RetrySpec(max=9, delay_s=10), "failure", 1, 4, Retry(10)),
        (RetrySpec(max=9, delay_s=10, backoff=2), "failure", 1, 1, Retry(10)),
        (RetrySpec(max=9, delay_s=10, backoff=2), "failure", 1, 4, Retry(80)),
        (RetrySpec(max=9), "", None, 1, None),
    ],
)
def test_the_rule_grants_so_many_further_attempts_and_after_so_long(
    rule: RetrySpec, kind: str, code: int | None, made: int, expected: Retry | None
) -> None:
    assert retry_after(rule, kind=kind, exit_code=code, attempts_made=made) == expected


# --- In the engine --------------------------------------------------------------------------------


def test_a_failed_job_is_tried_again_so_often_and_then_fails() -> None:
    run = start_text(belt("2"))
    worker = Worker()
    for made in (1, 2):
        worker.do(run, "compile", "failed")
        row = job_of(run, "compile")
        assert (row.state, row.reason, row.attempts_made) == ("queued", "retry", made)
        assert row.message == f"Attempt {made}: It failed. Trying again ({made} of 2)."
        assert state(run) == "running"
    worker.do(run, "compile", "failed")
    row = job_of(run, "compile")
    assert (row.state, row.attempts_made, row.last_attempt) == ("failed", 3, 3)
    assert [each.number for each in row.attempts.order_by("number")] == [1, 2, 3]


def test_a_retry_that_succeeds_hands_on_its_outputs_and_the_belt_goes_on() -> None:
    run = start_text(belt("1"))
    worker = Worker()
    worker.do(run, "compile", "failed", FILE="old.gem")
    second = worker.do(run, "compile", FILE="new.gem")
    output = job_of(run, "compile").outputs.get()
    assert (output.value, output.attempt_id) == ("new.gem", second)
    assert job_of(run, "pack").state == "queued"


def test_an_output_that_is_missing_counts_as_failure() -> None:
    run = start_text(belt("1"))
    Worker().do(run, "compile")
    assert job_of(run, "compile").state == "queued"


def test_retry_delay_uses_the_database_clock() -> None:
    run = start_text(belt("{max: 3, delay: 10s, backoff: 2}"))
    worker = Worker()
    OutboxRow.objects.all().delete()
    worker.do(run, "compile", "failed")
    row = job_of(run, "compile")
    assert "in 10 s" in row.message
    hint = OutboxRow.objects.get()
    assert row.available_at is not None
    assert (hint.due_at - row.available_at).total_seconds() == pytest.approx(0, abs=1)
    assert worker.claim(row) is None
    pass_time(11)
    worker.do(run, "compile", "failed")
    pass_time(11)
    assert worker.claim(row) is None
    pass_time(10)
    assert worker.claim(row) is not None


def test_only_the_named_exit_codes_are_tried_again() -> None:
    run = start_text(belt("{max: 3, exit-codes: [75]}"))
    worker = Worker()
    worker.end(worker.begun(run, "compile"), "failed", exit_code=75)
    assert job_of(run, "compile").state == "queued"
    worker.end(worker.begun(run, "compile"), "failed", exit_code=1)
    assert job_of(run, "compile").state == "failed"


def test_a_setup_that_failed_is_tried_again_but_no_timeout_and_no_lost_runner_unasked() -> None:
    run = start_text(belt("3"))
    worker = Worker()
    worker.end(worker.claimed(run, "compile"), "errored", reason="setup")
    assert job_of(run, "compile").state == "queued"
    worker.end(worker.begun(run, "compile"), "failed", reason="timed-out")
    assert job_of(run, "compile").state == "failed"
    run = start_text(belt("3"))
    lose_attempt(worker.begun(run, "compile"), "It was lost.")
    assert job_of(run, "compile").state == "errored"


def test_a_lost_runner_and_a_timeout_are_tried_again_where_the_author_says_so() -> None:
    run = start_text(belt('{max: 2, "on": [runner-lost, timeout]}'))
    worker = Worker()
    lost = worker.begun(run, "compile")
    assert lose_attempt(lost, "It was lost.")
    assert attempt(lost).state == "errored"
    worker.end(worker.begun(run, "compile"), "failed", reason="timed-out")
    row = job_of(run, "compile")
    assert (row.state, row.attempts_made) == ("queued", 2)


def test_an_attempt_that_never_started_takes_nothing_from_the_retries() -> None:
    run = start_text(belt("1"))
    worker = Worker()
    for _ in range(3):
        lose_attempt(worker.claimed(run, "compile"), "It was lost.")
    worker.do(run, "compile", "failed")
    row = job_of(run, "compile")
    assert (row.state, row.attempts_made, row.last_attempt) == ("queued", 1, 4)
    worker.do(run, "compile", "failed")
    assert job_of(run, "compile").state == "failed"


@pytest.mark.parametrize("outcome", ["failed", "errored", "cancelled"])
def test_what_was_cancelled_is_never_tried_again(outcome: str) -> None:
    run = start_text(belt("3"))
    worker = Worker()
    attempt_id = worker.begun(run, "compile")
    cancel_job_run(job_of(run, "compile"), by="Eve")
    worker.end(attempt_id, outcome)
    assert job_of(run, "compile").is_finished


def test_an_end_as_cancelled_is_never_tried_again_even_unasked() -> None:
    run = start_text(belt('{max: 3, "on": [failure, setup, timeout, runner-lost]}'))
    Worker().do(run, "compile", "cancelled")
    assert job_of(run, "compile").state == "cancelled"


def test_a_job_that_waits_for_its_retry_is_cancelled_at_once_with_its_belt_run() -> None:
    run = start_text(belt("{max: 3, delay: 1h}"))
    Worker().do(run, "compile", "failed")
    cancel_belt_run(run, by="Eve")
    assert job_of(run, "compile").state == "cancelled"
    assert state(run) == "cancelled"
