"""Whatever is killed, no job is lost, none runs twice, and what is stored is what happened."""

from __future__ import annotations

from functools import partial
from random import Random

import pytest
from django.db import connections

from runs.models import Attempt, JobRun
from tests.chaos.living import NAMES, PATIENCE_S, StormySite
from tests.postgres import PostgresServer
from tests.queue_server import QueueServer
from tests.waiting import until

pytestmark = pytest.mark.processes

KILLS = 12
SLOTS = 2
#: Starts and ends between two kills.
STEPS = 5


def some_have_ended(count: int) -> bool:
    return JobRun.objects.filter(finished_at__isnull=False).count() >= count


def progress() -> tuple[int, int]:
    """Return how many attempts have started and how many jobs have ended."""
    started = Attempt.objects.filter(started_at__isnull=False).count()
    return started, JobRun.objects.filter(finished_at__isnull=False).count()


def has_gone_on(seen: tuple[int, int]) -> bool:
    """Whether a few more steps were made since, or none is left to make."""
    return sum(progress()) >= sum(seen) + STEPS or not JobRun.objects.filter(finished_at=None)


def test_jobs_survive_the_deaths_of_runners_and_hints_that_come_twice(site: StormySite) -> None:
    random = Random(1)  # noqa: S311  # for the same deaths each time
    site.start_all()
    rows = site.start_jobs(200)
    site.hint(rows)
    kills = 0
    while kills < KILLS and (left := site.unfinished()):
        # The next death comes after some progress, so that it hits jobs at any point.
        seen = progress()
        until(partial(has_gone_on, seen), "a job starts or ends", patience_s=PATIENCE_S)
        kills += site.kill_one_runner(random)
        site.hint(left)
        if kills == KILLS // 2:
            site.kill_orchestrators()
            site.start_orchestrators()
            kills += 1
    assert kills > KILLS // 2
    site.assert_nothing_is_lost()
    # A killed runner loses what its slots had begun, and nothing else.
    assert JobRun.objects.filter(state="errored").count() <= kills * SLOTS


def test_jobs_survive_the_deaths_of_queue_database_and_orchestrators(
    site: StormySite, queue_server: QueueServer, server: PostgresServer
) -> None:
    site.start_all()
    site.start_jobs(60)
    until(lambda: some_have_ended(5), "some jobs have ended")
    queue_server.kill()
    site.kill_orchestrators()
    connections.close_all()
    server.restart()
    queue_server.start()
    site.start_orchestrators()
    site.assert_nothing_is_lost()
    # One outage that is longer than a lease ends what was running, and nothing else.
    assert JobRun.objects.filter(state="errored").count() <= len(NAMES) * SLOTS
