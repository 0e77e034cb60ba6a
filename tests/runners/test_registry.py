from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from runners.errors import RunnerNameTakenError
from runners.models import Runner
from runners.querysets import (
    claimable_count,
    living_runners,
    served_queues,
    unwanted_attempts,
)
from runners.registry import (
    RunnerDescription,
    beat,
    register_runner,
    request_drain,
    retire_runner,
)
from tests.builders import a_queued_job_run, a_runner, an_attempt

pytestmark = [pytest.mark.django_db, pytest.mark.database]

LONG_AGO = timedelta(hours=1)


def described(name: str = "one") -> RunnerDescription:
    return RunnerDescription(
        name=name,
        host="here",
        boot_id=uuid4(),
        queues=("default",),
        slots=2,
        isolation="uid",
        isolation_report=("ok: It works.",),
    )


def test_a_new_runner_gets_a_row_and_registering_again_changes_nothing() -> None:
    description = described()
    runner_id = register_runner(description, dead_boot=None)
    assert register_runner(description, dead_boot=None) == runner_id
    row = Runner.objects.get()
    assert (row.id, row.boot_id, row.said) == (runner_id, description.boot_id, "online")


def test_a_name_is_refused_while_its_runner_is_heard_of() -> None:
    other = a_runner("one", host="there")
    with pytest.raises(RunnerNameTakenError, match=r"runs on there; .* --name") as refused:
        register_runner(described(), dead_boot=None)
    assert refused.value.heard_at == other.heartbeat_at
    other.refresh_from_db()
    assert other.host == "there"


@pytest.mark.parametrize("why", ["silent", "left", "known to be dead"])
def test_a_name_is_taken_over_from_a_runner_that_is_gone(why: str) -> None:
    other = a_runner("one", drain_requested_at=timezone.now())
    if why == "silent":
        Runner.objects.update(heartbeat_at=timezone.now() - LONG_AGO)
    elif why == "left":
        retire_runner(other.id, other.boot_id)
    dead = other.boot_id if why == "known to be dead" else None
    description = described()
    assert register_runner(description, dead_boot=dead) == other.id
    other.refresh_from_db()
    assert (other.boot_id, other.said) == (description.boot_id, "online")
    assert other.drain_requested_at is None


def test_a_start_that_was_displaced_is_told_and_changes_nothing() -> None:
    old = described()
    runner_id = register_runner(old, dead_boot=None)
    register_runner(described(), dead_boot=old.boot_id)
    assert not beat(runner_id, old.boot_id, draining=True).ours
    retire_runner(runner_id, old.boot_id)
    assert Runner.objects.get().said == "online"


def test_a_heartbeat_carries_the_wish_to_drain_back() -> None:
    description = described()
    runner_id = register_runner(description, dead_boot=None)
    assert not beat(runner_id, description.boot_id, draining=False).drain
    request_drain(Runner.objects.get())
    answer = beat(runner_id, description.boot_id, draining=True)
    assert (answer.ours, answer.drain) == (True, True)
    assert Runner.objects.get().said == "draining"


def test_queues_are_served_by_runners_that_live_and_do_not_drain() -> None:
    a_runner("alive", queues=["default", "gpu"])
    a_runner("silent", queues=["old"], heartbeat_at=timezone.now() - LONG_AGO)
    a_runner("draining", queues=["full"], said="draining")
    assert served_queues() == {"default", "gpu"}
    assert {runner.name for runner in living_runners()} == {"alive", "draining"}


def test_work_is_counted_up_to_the_limit_and_for_own_queues_only() -> None:
    for _ in range(3):
        a_queued_job_run()
    a_queued_job_run(queue="gpu")
    assert claimable_count(["default"], 1, limit=2) == 2
    assert claimable_count(["gpu"], 1, limit=2) == 1
    assert claimable_count(["other"], 1, limit=2) == 0


def test_attempts_are_unwanted_when_cancelled_or_ended_elsewhere() -> None:
    cancelled, ended, wanted = an_attempt(), an_attempt(state="failed"), an_attempt()
    type(cancelled.job_run).objects.filter(id=cancelled.job_run_id).update(
        cancel_requested_at=timezone.now(), cancel_requested_by="Eve"
    )
    gone = uuid4()
    found = unwanted_attempts([cancelled.id, ended.id, wanted.id, gone])
    assert found == ({cancelled.id: "Eve"}, {ended.id, gone})
