"""Random suppliers, ends, reruns and starts: no value of a fork reaches a job with credentials.

Each belt has a job that takes nothing and one that takes values of other products, chosen in any
way. Runs start by hand, by a fork's event, downstream or as repeats, and their jobs end in any
order. A run may become tainted at any moment before its end. Afterwards the copied values are
followed back through all runs. Whatever was made from a value of a tainted run must have been
claimed as tainted, which is what credentials depend on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from uuid import UUID

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from belts.definitions import current_definition
from runs.creation import NewRun, create_belt_run
from runs.models import BeltRun, Consumption, JobRun
from runs.rerun import rerun_belt_run
from runs.states import BELT_FINISHED, JobRunState
from runs.taint import taint
from runs.transitions import moving
from tests.engine import Worker, belt_named, deliver_all, publish_text, start
from tests.invariants import assert_invariants

pytestmark = [pytest.mark.django_db, pytest.mark.database]

PRODUCTS = ("a", "b", "c", "d")
CHOICES = (
    "build: last",
    "build: 1",
    "build: last",
    "build: 2",
    "branch: topic, build: last",
    "branch: topic",
    "build: last_successful",
    "",
)


@dataclass(frozen=True)
class Taken:
    """A value that a product takes from another one, and how the run is chosen."""

    product: str
    job: str
    choice: str


def a_site(random: Random) -> dict[str, list[Taken]]:
    """Return for each product what it takes from those before it, each value once."""
    found = {}
    for number, product in enumerate(PRODUCTS):
        sources = [(each, job) for each in PRODUCTS[:number] for job in ("free", "made")]
        taken = random.sample(sources, min(len(sources), random.randint(1, 2)))
        found[product] = [Taken(*each, random.choice(CHOICES)) for each in taken]
    return found


def belt_file(product: str, taken: list[Taken], downstream: str) -> str:
    """Return the file of a product whose job ``made`` takes these values."""
    inputs = ["free"]
    for each in taken:
        choice = f", {each.choice}" if each.choice else ""
        inputs.append(f"{{from: {each.product}.make.{each.job}{choice}}}")
    words = " ".join(f"${{{each.product}.make.{each.job}.V}}" for each in taken)
    follows = f"downstreams: [{{downstream-product: {downstream}, belts: make}}]"
    return f"""
        product: {product}
        belts:
          - name: make
            {follows if downstream else "description: The last."}
            jobs:
              - {{name: free, commands: x, outputs: [{{String: V}}]}}
              - name: made
                inputs: [{", ".join(inputs)}]
                commands: "use {words}"
                outputs: [{{String: V}}]
              - {{name: own, inputs: made, commands: "use ${{made.V}}"}}
    """


@dataclass
class Driver:
    """A site with these products; ``claimed`` says of each claimed job run how it was run."""

    worker: Worker = field(default_factory=Worker)
    claimed: dict[UUID, bool] = field(default_factory=dict)
    forks: set[UUID] = field(default_factory=set)
    marked: set[UUID] = field(default_factory=set)

    def fork(self, product: str) -> None:
        """Start a run of a fork's code."""
        belt = belt_named(f"{product}.make")
        new = NewRun(
            belt,
            current_definition(belt.product),
            "A fork.",
            branch="topic",
            on_default_branch=False,
            tainted=True,
        )
        self.forks.add(create_belt_run(new).id)

    def mark(self, place: int) -> None:
        """Taint a run that has not ended, and count its unclaimed jobs as jobs of a fork."""
        runs = list(BeltRun.objects.unfinished().order_by("id"))
        if runs:
            run = runs[place % len(runs)]
            with moving(run.id):
                taint(run.id)
            rows = JobRun.objects.filter(belt_run=run, state__in=["waiting", "queued"])
            self.marked.update(rows.values_list("id", flat=True))

    def start(self, product: str) -> None:
        """Start a run by hand."""
        start(f"{product}.make")

    def rerun(self, place: int, *, only_failed: bool) -> None:
        """Repeat one of the runs that have ended."""
        ended = list(BeltRun.objects.filter(state__in=BELT_FINISHED).order_by("id"))
        runs = [run for run in ended if _can_repeat(run, only_failed=only_failed)]
        if runs:
            run = runs[place % len(runs)]
            again = rerun_belt_run(run, only_failed=only_failed)
            if run.id in self.forks:
                self.forks.add(again.id)

    def claim(self, place: int) -> None:
        """Claim and start one of the queued jobs."""
        rows = list(JobRun.objects.filter(state=JobRunState.QUEUED).order_by("id"))
        if rows:
            row = rows[place % len(rows)]
            claim = self.worker.claim(row)
            assert claim is not None
            self.claimed[row.id] = claim.is_tainted
            assert self.worker.start(claim)

    def end(self, place: int, outcome: str) -> None:
        """End one of the running jobs."""
        running = JobRun.objects.filter(state=JobRunState.RUNNING).order_by("id")
        rows = list(running.values_list("attempts__id", flat=True))
        if rows:
            self.worker.end(rows[place % len(rows)], outcome, outputs={"V": "value"})

    def drain(self) -> None:
        """Do all that is left."""
        while JobRun.objects.filter(state__in=["queued", "running"]).exists() or deliver_all():
            self.claim(0)
            self.end(0, "succeeded")

    def check(self) -> None:
        """Follow every value back; what comes from a fork was claimed as tainted."""
        tainted_values = self._job_runs_with_a_forks_value()
        wrong = [each for each in tainted_values if self.claimed.get(each, True) is False]
        assert not wrong, [str(each) for each in JobRun.objects.filter(id__in=wrong)]
        runs = BeltRun.objects.filter(job_runs__in=tainted_values, tainted=False)
        assert not list(runs), "A run took a value of a fork and is not marked."

    def _job_runs_with_a_forks_value(self) -> set[UUID]:
        of_forks = JobRun.objects.filter(belt_run__in=self.forks)
        found = self.marked.union(of_forks.values_list("id", flat=True))
        columns = ("consumer_id", "output__job_run_id")
        flows = list(Consumption.objects.exclude(output=None).values_list(*columns))
        kept = JobRun.objects.exclude(reused_from=None).values_list("id", "reused_from_id")
        flows += list(kept)
        before = -1
        while len(found) > before:
            before = len(found)
            found |= {consumer for consumer, producer in flows if producer in found}
        return found


def _can_repeat(run: BeltRun, *, only_failed: bool) -> bool:
    """Return whether the run may be repeated: it was planned, and something in it failed."""
    rows = JobRun.objects.filter(belt_run=run)
    return not only_failed or rows.exclude(state=JobRunState.SUCCEEDED).exists()


def a_step(driver: Driver, random: Random) -> Callable[[], object]:
    """Return one of the things that may happen next."""
    place, product = random.randrange(6), random.choice(PRODUCTS)
    claim, end = partial(driver.claim, place), partial(driver.end, place, "succeeded")
    steps: list[Callable[[], object]] = [
        claim,
        claim,
        end,
        end,
        deliver_all,
        deliver_all,
        partial(driver.end, place, "failed"),
        partial(driver.fork, product),
        partial(driver.start, product),
        partial(driver.mark, place),
        partial(driver.rerun, place, only_failed=False),
        partial(driver.rerun, place, only_failed=True),
    ]
    return random.choice(steps)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(random=st.randoms(use_true_random=True), chained=st.booleans())
def test_no_value_of_a_fork_reaches_an_untainted_job(random: Random, chained: bool) -> None:
    """The steps are drawn by a generator of their own: they depend on what happened before."""
    site = a_site(random)
    with transaction.atomic():
        driver = Driver()
        for product, follows in zip(PRODUCTS, (*PRODUCTS[1:], ""), strict=True):
            publish_text(belt_file(product, site[product], follows if chained else ""))
        for product in PRODUCTS:
            # Those that take values now wait for runs that are unfinished and may become tainted.
            driver.start(product)
        for _ in range(25):
            a_step(driver, random)()
        driver.drain()
        driver.check()
        assert_invariants(drained=True)
        transaction.set_rollback(True)
