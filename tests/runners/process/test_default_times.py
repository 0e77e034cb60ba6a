"""The times as they are set by default: other tests of processes run the same ratios faster."""

from __future__ import annotations

import signal

import pytest
from django.db.models.functions import Now

from runs.models import Attempt
from runs.reaper import lose_expired_attempts
from tests.runners.process.living import Site, processes_with
from tests.waiting import until

pytestmark = pytest.mark.processes

#: Ignores TERM, so that only the supervisor's KILL ends it.
STUBBORN = "trap '' TERM; echo begun; while :; do sleep 1; done"


def test_a_runner_that_stands_still_loses_its_job_when_its_lease_is_over_and_the_job_is_dead_before(
    site: Site,
) -> None:
    runner = site.runner(CONVEYOR_TIME_SCALE="1")
    row = site.queue_jobs(STUBBORN)[0]
    attempt = site.running(row)
    for child in ("heart", "slot1", "slot2", None):
        runner.signal(signal.SIGSTOP, child)
    cookie = f"CONVEYOR_ATTEMPT={attempt.id}"
    until(lambda: not processes_with(cookie), "the job is dead", patience_s=80, every_s=0.5)
    assert lose_expired_attempts() == 0
    assert Attempt.objects.filter(id=attempt.id, lease_until__gt=Now()).exists()
    until(lambda: lose_expired_attempts() == 1, "the runner is lost", patience_s=80, every_s=0.5)
    [ended] = site.ended(row)
    assert (ended.state, ended.reason) == ("errored", "runner-lost")
