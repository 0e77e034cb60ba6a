"""Sweeps of the server; all times are the database's."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from django.db.models.functions import Now

from belts.models import Definition
from products.models import Configuration, OutboxRow
from runs.attempts import renew_leases
from runs.cancel import cancel_job_run
from runs.errors import SweepError
from runs.models import Attempt, BeltRun, JobRun
from runs.reaper import (
    end_overdue_attempts,
    end_unserved_job_runs,
    force_cancels,
    lose_expired_attempts,
    settle_stragglers,
    write_hints_again,
)
from runs.states import JobRunState, Reason
from runs.transitions import JobKey, Why, moving
from tests import builders
from tests.engine import (
    Worker,
    attempt,
    deliver_all,
    job_of,
    pass_time,
    publish_text,
    start,
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
          - {name: compile, commands: make, timeout: 5m, outputs: [{String: FILE}]}
          - {name: check, inputs: compile, commands: make check}
"""

#: A definition that this version cannot read.
OF_TOMORROW = {"version": "of tomorrow"}
DAY = timedelta(days=1)


# --- Leases ---------------------------------------------------------------------------------------
def test_an_attempt_is_lost_once_its_lease_and_the_grace_are_over() -> None:
    run = start_text(BELT)
    attempt_id = Worker(name="r1").begun(run, "compile")
    pass_time(70)
    assert lose_expired_attempts() == 0
    pass_time(6)
    heard = attempt(attempt_id).claimed_at
    assert lose_expired_attempts() == 1
    row = job_of(run, "compile")
    assert (row.state, row.reason) == ("errored", "runner-lost")
    told = re.fullmatch(
        r"The runner r1 was lost: its lease was not renewed after (.+) UTC\.", row.message
    )
    assert told
    renewed = datetime.fromisoformat(f"{told[1]}+00:00")
    assert abs(renewed - heard) < timedelta(seconds=5)
    assert attempt(attempt_id).state == "errored"
    assert (states(run)["check"], state(run)) == ("skipped", "errored")
    assert lose_expired_attempts() == 0


def test_an_attempt_that_is_renewed_is_never_lost() -> None:
    run = start_text(BELT)
    worker = Worker()
    attempt_id = worker.begun(run, "compile")
    for _ in range(5):
        pass_time(50)
        assert lose_expired_attempts() == 0
        assert renew_leases(worker.id, [attempt_id]).alive == {attempt_id}


def test_an_attempt_that_never_started_is_queued_again_when_its_runner_is_lost() -> None:
    run = start_text(BELT)
    Worker().claimed(run, "compile")
    OutboxRow.objects.all().delete()
    pass_time(76)
    assert lose_expired_attempts() == 1
    assert states(run)["compile"] == "queued"
    assert OutboxRow.objects.get().payload["job_run"] == str(job_of(run, "compile").id)


def test_a_zombie_that_comes_back_after_its_lease_changes_nothing() -> None:
    run = start_text(BELT)
    zombie = Worker()
    attempt_id = zombie.begun(run, "compile")
    pass_time(76)
    lose_expired_attempts()
    assert renew_leases(zombie.id, [attempt_id]).alive == frozenset()
    assert not zombie.end(attempt_id, outputs={"FILE": "late"}).stored
    assert states(run)["compile"] == "errored"


def test_sweep_obeys_its_limit_oldest_first() -> None:
    worker = Worker()
    for _ in range(3):
        builders.a_queued_job_run()
        worker.claim()
        pass_time(100)
    assert [lose_expired_attempts(limit=2), lose_expired_attempts(limit=2)] == [2, 1]


# --- Deadlines ------------------------------------------------------------------------------------
def test_an_attempt_past_its_deadline_is_ended_as_timed_out_by_the_server() -> None:
    run = start_text(BELT)
    worker = Worker()
    attempt_id = worker.begun(run, "compile")
    for _ in range(9):
        pass_time(50)
        renew_leases(worker.id, [attempt_id])
    assert end_overdue_attempts() == 0
    pass_time(50)
    assert end_overdue_attempts() == 1
    row = job_of(run, "compile")
    assert (row.state, row.reason) == ("failed", "timed-out")
    assert attempt(attempt_id).active_key is None
    assert end_overdue_attempts() == 0


# --- Cancels --------------------------------------------------------------------------------------
@pytest.mark.parametrize("phase", ["claimed", "begun"])
def test_a_cancel_that_no_runner_answers_is_enforced(phase: str) -> None:
    run = start_text(BELT)
    worker = Worker()
    attempt_id = (
        worker.claimed(run, "compile") if phase == "claimed" else worker.begun(run, "compile")
    )
    cancel_job_run(job_of(run, "compile"), by="Eve")
    pass_time(55)
    renew_leases(worker.id, [attempt_id])
    assert force_cancels() == 0
    pass_time(10)
    assert force_cancels() == 1
    row = job_of(run, "compile")
    assert (row.state, row.reason, row.message) == (
        "cancelled",
        "cancel-requested",
        "Cancelled by Eve.",
    )
    assert attempt(attempt_id).state == "cancelled"
    assert (states(run)["check"], state(run)) == ("skipped", "cancelled")
    assert force_cancels() == 0


# --- Jobs without a runner ------------------------------------------------------------------------
def test_a_job_that_no_runner_took_ends_after_the_sites_limit_with_the_way_out() -> None:
    Configuration.objects.create(pk=1, queue_limit_s=3600)
    run = start_text(BELT)
    pass_time(3599)
    assert end_unserved_job_runs() == 0
    pass_time(2)
    assert end_unserved_job_runs() == 1
    row = job_of(run, "compile")
    assert (row.state, row.reason) == ("errored", "no-runner")
    assert row.message == (
        "No runner took the job from queue default within 3600 s. Start a runner with: "
        "manage.py runner --queues default"
    )
    assert (states(run)["check"], state(run)) == ("skipped", "errored")


def test_a_job_that_waits_for_the_delay_of_its_retry_is_not_ended() -> None:
    Configuration.objects.create(pk=1, queue_limit_s=3600)
    run = start_text(BELT.replace("timeout: 5m", "retry: {max: 1, delay: 2h}"))
    Worker().do(run, "compile", "failed")
    pass_time(3700)
    assert end_unserved_job_runs() == 0
    pass_time(3700 + 3600)
    assert end_unserved_job_runs() == 1


# --- Hints ----------------------------------------------------------------------------------------
def test_a_job_that_is_queued_for_a_while_is_announced_again_and_then_again() -> None:
    run = start_text(BELT)
    OutboxRow.objects.all().delete()
    assert write_hints_again() == 0
    for _ in range(3):
        pass_time(31)
        assert write_hints_again() == 1
        assert write_hints_again() == 0
        row = OutboxRow.objects.get()
        assert row.kind == "hint"
        assert row.payload == {"job_run": str(job_of(run, "compile").id), "queue": "default"}
        row.delete()


def test_a_hint_that_is_still_in_the_outbox_stays_one_row() -> None:
    start_text(BELT)
    pass_time(31)
    assert write_hints_again() == 1
    assert OutboxRow.objects.filter(kind="hint").count() == 1


def test_a_job_that_is_claimed_waiting_or_delayed_is_not_announced() -> None:
    run = start_text(BELT)
    Worker().claimed(run, "compile")
    delayed = builders.a_queued_job_run()
    pass_time(40)
    pass_time(-100, only=[JobRun])
    JobRun.objects.exclude(id=delayed.id).update(available_at=None)
    assert write_hints_again() == 0


def test_the_oldest_of_each_queue_are_announced_first_and_no_queue_hides_another() -> None:
    for _ in range(40):
        builders.a_queued_job_run(queue="full")
    lonely = builders.a_queued_job_run(queue="lonely")
    pass_time(31, only=[JobRun])
    assert write_hints_again() == 33
    assert OutboxRow.objects.filter(payload__job_run=str(lonely.id)).exists()
    assert write_hints_again() == 8


# --- Belt runs without a release ------------------------------------------------------------------
def test_a_belt_run_whose_last_move_was_not_followed_up_is_settled() -> None:
    run = start_text(BELT)
    worker = Worker()
    worker.do(run, "compile", FILE="a")
    row = job_of(run, "check")
    with moving(run.id) as moves:
        moves.job(
            JobKey(row.id, row.name, row.queue),
            JobRunState.QUEUED,
            JobRunState.CANCELLED,
            Why(Reason.CANCEL_REQUESTED),
        )
    assert state(run) == "running"
    assert settle_stragglers() == 1
    assert state(run) == "cancelled"
    assert settle_stragglers() == 0


def test_job_with_a_missed_end_of_its_supplier_is_released() -> None:
    publish_text(BELT)
    publish_text(
        """
        product: site
        belts:
          - name: deploy
            jobs:
              - name: deploy
                commands: "use ${gem.build.compile.FILE}"
                inputs: [{from: gem.build, build: last}]
        """
    )
    worker = Worker()
    supplier = start("gem.build")
    consumer = start("site.deploy")
    worker.do(supplier, "compile", FILE="a")
    worker.do(supplier, "check")
    OutboxRow.objects.all().delete()
    assert states(consumer) == {"deploy": "waiting"}
    assert settle_stragglers() == 1
    assert states(consumer) == {"deploy": "queued"}


def test_belt_runs_that_rightly_wait_are_not_looked_at_over_and_over() -> None:
    """Else many of them would hide those that were forgotten, and keep the server busy."""
    publish_text(BELT)
    publish_text(
        """
        product: site
        belts:
          - name: deploy
            jobs: [{name: deploy, commands: x, inputs: [{from: gem.build, build: last}]}]
        """
    )
    start("gem.build")
    waiting = [start("site.deploy") for _ in range(3)]
    deliver_all()
    assert settle_stragglers() == 0
    forgotten = builders.a_belt_run({"compile": "succeeded"}, state="running")
    assert settle_stragglers(limit=1) == 1
    assert state(forgotten) == "succeeded"
    assert {state(run) for run in waiting} == {"pending"}


def test_more_belt_runs_than_the_limit_that_wait_or_cannot_move_hide_no_forgotten_one() -> None:
    publish_text(BELT)
    publish_text(
        """
        product: site
        belts:
          - name: deploy
            jobs: [{name: deploy, commands: x, inputs: [{from: gem.build, build: last}]}]
        """
    )
    start("gem.build")
    waiting = [start("site.deploy") for _ in range(4)]
    deliver_all()
    unreadable = [builders.a_belt_run({"a": "succeeded", "b": "waiting"}) for _ in range(4)]
    Definition.objects.filter(runs__in=unreadable).update(document=OF_TOMORROW)
    forgotten = [builders.a_belt_run({"compile": "succeeded"}, state="running") for _ in range(3)]
    for _ in range(2):
        with pytest.raises(SweepError):
            settle_stragglers(limit=2)
    assert {state(run) for run in forgotten} == {"succeeded"}
    assert {state(run) for run in waiting} == {"pending"}
    assert {state(run) for run in unreadable} == {"running"}


def test_rows_that_cannot_be_dealt_with_keep_no_other_from_its_turn() -> None:
    unreadable = [builders.an_attempt().job_run.belt_run for _ in range(3)]
    Definition.objects.filter(runs__in=unreadable).update(document=OF_TOMORROW)
    lost = [builders.an_attempt() for _ in range(3)]
    pass_time(200)
    with pytest.raises(SweepError, match=r"^3 rows could not be processed\."):
        lose_expired_attempts(limit=4)
    assert {attempt(each.id).state for each in lost} == {"errored"}
    assert {state(run) for run in unreadable} == {"running"}
    JobRun.objects.filter(belt_run__in=unreadable).update(cancel_requested_at=Now() - DAY)
    with pytest.raises(SweepError):
        force_cancels()
    Attempt.objects.update(deadline_at=Now() - DAY)
    with pytest.raises(SweepError):
        end_overdue_attempts()


def test_running_and_queued_belt_runs_are_left_alone() -> None:
    builders.a_belt_run({"a": "running"})
    builders.a_belt_run({"a": "queued"})
    builders.a_belt_run({"a": "succeeded"})
    assert settle_stragglers() == 0
    assert BeltRun.objects.filter(moves=0).count() == 3
