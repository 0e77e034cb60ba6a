"""The rows about time: many parallel jobs, a chain of jobs, and the time to the first command."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from celery import chain

from belts.spec.shapes import JobSpec
from bench import bare
from bench.figures import Goal, Row
from bench.places import DATABASE_PID
from bench.processes import cpu_s, wait_for
from bench.site import LEVEL, Site
from runs.logs import read_log
from runs.models import Attempt, BeltRun

JOBS = 200
HOPS = 30
CALLS = 20
BUILDBOT_JOBS_A_SECOND = 2.3

#: Long enough for a runner to be idle again, and for nothing else.
_IDLE_S = 0.1


def jobs(site: Site, rounds: int) -> Row:
    """Measure how many jobs that do nothing are run in a second."""
    belt = site.add_belt("jobs", [JobSpec(f"job-{n}", commands="true") for n in range(JOBS)])
    ours, theirs = [], []
    our_cpu: list[float] = []
    their_cpu: list[float] = []
    for _ in range(rounds):
        with _cpu_used(our_cpu, site.runner, *_database()):
            ours.append(JOBS / site.run(belt)[1])
        with _cpu_used(their_cpu, site.worker):
            theirs.append(JOBS / _bare_jobs(site))
    times = statistics.median(ours) / BUILDBOT_JOBS_A_SECOND
    cpu = (f"{statistics.median(used) * 1000 / JOBS:.1f} ms" for used in (our_cpu, their_cpu))
    return Row(
        name="jobs",
        what=f"{JOBS} jobs that do nothing, in one belt, 2 slots",
        reference_is="bare Celery, the same by subprocess in 2 children",
        unit="jobs/s",
        goal=Goal(0.35, at_least=True),
        level=LEVEL,
        ours=ours,
        reference=theirs,
        notes=(
            f"{times:.0f} x Buildbot's {BUILDBOT_JOBS_A_SECOND} jobs/s (goal: 50 x)",
            "processor time a job: {} of runner and database server, {} of Celery".format(*cpu),
        ),
    )


@contextmanager
def _cpu_used(seconds: list[float], *pids: int) -> Iterator[None]:
    """Add the processor time that trees use meanwhile."""
    before = cpu_s(*pids)
    yield
    seconds.append(cpu_s(*pids) - before)


def _database() -> list[int]:
    """Return the process of the database server, if the site has one."""
    pid = os.environ.get(DATABASE_PID)
    return [int(pid)] if pid else []


def _bare_jobs(site: Site) -> float:
    def call(moments: str) -> None:
        for _ in range(JOBS):
            bare.no_op.delay(moments)

    return _bare(site, call, JOBS)


def _bare(site: Site, call: Callable[[str], Any], count: int) -> float:
    """Return the seconds from before the call until ``count`` tasks are done."""
    moments = site.moments()
    begun = time.time()
    call(moments)
    wait_for(lambda: len(bare.read_moments(moments)) == count, "the bare tasks are done")
    return max(bare.read_moments(moments)) - begun


def hops(site: Site, rounds: int) -> Row:
    """Measure how long it takes from one job to the next that needs it."""
    names = [f"job-{n}" for n in range(HOPS)]
    needs = [(), *((name,) for name in names)]
    chained = [
        JobSpec(name, commands="true", needs=need) for name, need in zip(names, needs, strict=False)
    ]
    belt = site.add_belt("hops", chained)
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(site.run(belt)[1] * 1000 / HOPS)
        theirs.append(_bare_hops(site) * 1000 / HOPS)
    return Row(
        name="hops",
        what=f"a chain of {HOPS} jobs in one belt, each needs the one before",
        reference_is="bare Celery's chain of the same",
        unit="ms/hop",
        goal=Goal(6),
        level=LEVEL,
        ours=ours,
        reference=theirs,
    )


def _bare_hops(site: Site) -> float:
    return _bare(
        site, lambda moments: chain(*[bare.no_op.si(moments) for _ in range(HOPS)])(), HOPS
    )


def first_command(site: Site, rounds: int) -> Row:
    """Measure the time from the call to the job's first command, the runner being idle."""
    belt = site.add_belt("first-command", [JobSpec("job", commands=bare.FIRST_COMMAND)])
    ours, theirs = [], []
    for _ in range(max(CALLS, rounds)):
        time.sleep(_IDLE_S)
        begun = time.time()
        run, _ = site.run(belt)
        ours.append((_logged_time(run) - begun) * 1000)
        time.sleep(_IDLE_S)
        theirs.append(_bare(site, bare.first_command.delay, 1) * 1000)
    return Row(
        name="first-command",
        what=f"from the call to the job's first command, idle runner, {len(ours)} calls",
        reference_is="bare Celery, from the call to the same command",
        unit="ms",
        goal=Goal(6),
        level=LEVEL,
        ours=ours,
        reference=theirs,
    )


def _logged_time(run: BeltRun) -> float:
    attempt = Attempt.objects.get(job_run__belt_run=run)
    return float(b"".join(piece.data for piece in read_log(attempt)))
