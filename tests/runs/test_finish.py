"""The ends of attempts: outputs with the move, fencing, the next claim, and what follows."""

from __future__ import annotations

import hashlib

import pytest

from products.identifiers import uuid7
from products.models import OutboxRow
from runs.errors import IllegalMoveError
from runs.finish import end_attempt_by_server, finish_attempt, lose_attempt
from runs.logs import ChunkToStore, append_chunks, read_log
from runs.models import Attempt, JobRun, Output, RunEvent
from tests import builders
from tests.engine import (
    Worker,
    an_end,
    attempt,
    job_of,
    start_text,
    state,
    states,
    values_of,
)

pytestmark = [pytest.mark.django_db, pytest.mark.database]

CHAIN = """
    product: gem
    belts:
      - name: build
        jobs:
          - name: compile
            commands: make
            outputs: [{String: FILE}, {String: VERSION}]
          - {name: check, inputs: compile, commands: make check}
          - {name: pack, inputs: check, commands: make pack}
          - {name: other, commands: "true"}
"""
OUTPUTS = {"FILE": "a.gem", "VERSION": "1.0"}


def test_a_success_hands_on_the_outputs_and_releases_what_waited_in_one_go() -> None:
    run = start_text(CHAIN)
    attempt_id = Worker().do(run, "compile", **OUTPUTS)
    assert values_of(run, "compile") == OUTPUTS
    assert states(run)["check"] == "queued"
    assert Output.objects.filter(attempt_id=attempt_id).count() == 2
    ended = attempt(attempt_id)
    assert (ended.state, ended.exit_code, ended.active_key) == ("succeeded", 0, None)
    row = job_of(run, "compile")
    assert (row.state, row.reason, row.attempts_made) == ("succeeded", "finished", 1)


def test_only_declared_outputs_are_stored() -> None:
    run = start_text(CHAIN)
    Worker().do(run, "compile", **OUTPUTS, EXTRA="x")
    assert values_of(run, "compile") == OUTPUTS


def test_a_success_without_a_declared_output_is_a_failure_that_names_it() -> None:
    run = start_text(CHAIN)
    Worker().do(run, "compile", FILE="a.gem")
    row = job_of(run, "compile")
    assert (row.state, row.reason) == ("failed", "output-missing")
    assert row.message == "The job succeeded without its declared output VERSION."
    assert not Output.objects.exists()
    assert states(run)["check"] == "skipped"


@pytest.mark.parametrize("outcome", ["failed", "errored", "cancelled"])
def test_an_attempt_that_did_not_succeed_hands_on_nothing(outcome: str) -> None:
    run = start_text(CHAIN)
    Worker().do(run, "compile", outcome, **OUTPUTS)
    assert states(run)["compile"] == outcome
    assert not Output.objects.exists()


@pytest.mark.parametrize("outcome", ["failed", "errored", "cancelled"])
def test_what_needs_a_job_that_did_not_succeed_is_skipped_all_the_way(outcome: str) -> None:
    run = start_text(CHAIN)
    worker = Worker()
    worker.do(run, "compile", outcome)
    assert states(run) == {
        "compile": outcome,
        "check": "skipped",
        "pack": "skipped",
        "other": "queued",
    }
    skipped = job_of(run, "pack")
    assert skipped.reason == "upstream-failed"
    assert skipped.message == "This job waits for job check, which was skipped."
    assert state(run) == "running"
    worker.do(run, "other")
    assert state(run) == outcome


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        (("succeeded", "succeeded"), "succeeded"),
        (("succeeded", "failed"), "failed"),
        (("failed", "errored"), "errored"),
        (("errored", "failed"), "errored"),
        (("cancelled", "succeeded"), "cancelled"),
        (("cancelled", "failed"), "failed"),
    ],
)
def test_a_belt_run_settles_with_its_last_job_as_the_worst_of_them(
    ends: tuple[str, str], expected: str
) -> None:
    run = start_text(
        """
        product: gem
        belts:
          - name: build
            jobs:
              - {name: a, commands: "true"}
              - {name: b, commands: "true"}
        """
    )
    worker = Worker()
    worker.do(run, "a", ends[0])
    assert state(run) == "running"
    worker.do(run, "b", ends[1])
    assert state(run) == expected
    last = RunEvent.objects.filter(belt_run=run, job_run=None).latest("id")
    assert (last.old, last.new) == ("running", expected)


def test_repeated_end_changes_nothing() -> None:
    run = start_text(CHAIN)
    worker = Worker()
    attempt_id = worker.do(run, "compile", **OUTPUTS)
    events = RunEvent.objects.count()
    for outcome in ("succeeded", "failed"):
        assert not worker.end(attempt_id, outcome, outputs=OUTPUTS).stored
    assert (RunEvent.objects.count(), Output.objects.count()) == (events, 2)
    assert states(run)["compile"] == "succeeded"


def test_an_attempt_that_another_ended_stores_neither_end_nor_outputs_nor_log() -> None:
    run = start_text(CHAIN)
    worker = Worker()
    attempt_id = worker.begun(run, "compile")
    lose_attempt(attempt_id, "The runner was lost.")
    late = [ChunkToStore(0, "stdout", 0, b"too late")]
    told = finish_attempt(attempt_id, an_end(outputs=OUTPUTS), last_chunks=late)
    assert not told.stored
    assert not append_chunks(attempt_id, late)
    assert not Output.objects.exists()
    assert read_log(attempt(attempt_id)) == []
    assert states(run)["compile"] == "errored"


def test_an_unknown_attempt_ends_nothing() -> None:
    start_text(CHAIN)
    assert not finish_attempt(uuid7(), an_end()).stored
    assert not end_attempt_by_server(uuid7(), an_end("failed"))


def test_an_attempt_that_never_started_cannot_have_succeeded() -> None:
    run = start_text(CHAIN)
    attempt_id = Worker().claimed(run, "compile")
    with pytest.raises(IllegalMoveError):
        finish_attempt(attempt_id, an_end(outputs=OUTPUTS))
    assert attempt(attempt_id).state == "starting"


def test_a_setup_that_failed_ends_an_attempt_that_never_started() -> None:
    run = start_text(CHAIN)
    worker = Worker()
    attempt_id = worker.claimed(run, "compile")
    assert worker.end(attempt_id, "errored", reason="setup", message="No such commit.").stored
    row = job_of(run, "compile")
    assert (row.state, row.reason, row.message) == ("errored", "setup", "No such commit.")


def test_the_last_pieces_of_the_log_and_its_figures_are_stored_with_the_end() -> None:
    run = start_text(CHAIN)
    attempt_id = Worker().begun(run, "other")
    append_chunks(attempt_id, [ChunkToStore(0, "stdout", 0, b"one\n")])
    digest = hashlib.sha256(b"one\ntwo\n").hexdigest()
    told = finish_attempt(
        attempt_id,
        an_end(log_bytes=8, log_sha256=digest),
        last_chunks=[ChunkToStore(1, "stderr", 4, b"two\n")],
    )
    assert told.stored
    ended = attempt(attempt_id)
    assert [piece.data for piece in read_log(ended)] == [b"one\n", b"two\n"]
    assert (ended.log_bytes, ended.log_sha256) == (8, digest)


def test_next_job_claimed_with_the_end_has_no_hint() -> None:
    run = start_text(CHAIN)
    worker = Worker()
    worker.do(run, "other")
    attempt_id = worker.begun(run, "compile")
    OutboxRow.objects.all().delete()
    told = finish_attempt(attempt_id, an_end(outputs=OUTPUTS), claim_next=worker.wish())
    assert told.stored
    assert told.claim is not None
    assert told.claim.job_run_id == job_of(run, "check").id
    assert states(run)["check"] == "starting"
    assert not OutboxRow.objects.exists()


def test_the_next_job_of_another_belt_run_is_claimed_after_the_end() -> None:
    run = start_text(CHAIN)
    worker = Worker()
    attempt_id = worker.begun(run, "other")
    JobRun.objects.filter(belt_run=run, name="compile").update(queue="elsewhere")
    stranger = builders.a_queued_job_run()
    told = finish_attempt(attempt_id, an_end(), claim_next=worker.wish())
    assert told.claim is not None
    assert told.claim.job_run_id == stranger.id


def test_repeated_end_returns_the_same_next_claim() -> None:
    run = start_text(CHAIN)
    worker = Worker()
    attempt_id, wish = worker.begun(run, "compile"), worker.wish()
    first = finish_attempt(attempt_id, an_end(outputs=OUTPUTS), claim_next=wish)
    again = finish_attempt(attempt_id, an_end(outputs=OUTPUTS), claim_next=wish)
    assert (first.stored, again.stored) == (True, False)
    assert first.claim == again.claim
    assert Attempt.objects.filter(active_key__isnull=False).count() == 1


def test_a_wish_finds_nothing_where_nothing_is_queued() -> None:
    row = builders.a_job_run("running")
    running = builders.an_attempt(row)
    told = finish_attempt(running.id, an_end(), claim_next=Worker().wish())
    assert (told.stored, told.claim) == (True, None)


def test_a_server_ends_an_attempt_in_its_runners_place() -> None:
    run = start_text(CHAIN)
    attempt_id = Worker().begun(run, "compile")
    end = an_end("failed", reason="timed-out", message="Too long.")
    assert end_attempt_by_server(attempt_id, end)
    assert not end_attempt_by_server(attempt_id, end)
    assert (job_of(run, "compile").state, job_of(run, "compile").reason) == ("failed", "timed-out")
