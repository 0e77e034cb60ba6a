"""Random belts, random ends: the incremental release equals a plain evaluation after every step.

``runs.release`` reads only the jobs around what has ended. Here a belt of any shape goes through
ends, failures, losses, cancels, retries and the ends of suppliers in any order. After every step
the stored states equal those of ``PlainBelt``, which looks at every job each time and shares no
code with the engine, and a full evaluation by the engine itself finds nothing left to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runs.cancel import cancel_belt_run, cancel_job_run
from runs.finish import lose_attempt
from runs.models import BeltRun, JobRun
from runs.release import release_belt_run
from tests.engine import Worker, deliver_all, job_of, publish_text, start, state, states
from tests.invariants import assert_invariants

pytestmark = [pytest.mark.django_db, pytest.mark.database]

LIB_JOBS = ("one", "two")
LIB = """
    product: lib
    belts:
      - name: make
        jobs:
          - {name: one, commands: make, outputs: [{String: FILE}]}
          - {name: two, commands: make, outputs: [{String: FILE}]}
"""
FINAL = ("succeeded", "failed", "errored", "cancelled", "skipped")
BAD = ("failed", "errored", "cancelled", "skipped")


@dataclass(frozen=True)
class PlainJob:
    """A job: what it needs, the jobs of ``lib.make`` that supply it, whether it is tried twice."""

    name: str
    needs: tuple[str, ...]
    suppliers: tuple[str, ...]
    retries: int

    def to_yaml(self) -> str:
        """Return the item of the belt file."""
        supplied = [f"{{from: lib.make.{each}, build: last}}" for each in self.suppliers]
        inputs = [*self.needs, *supplied]
        env = [f"V{n}: '${{lib.make.{each}.FILE}}'" for n, each in enumerate(self.suppliers)]
        return (
            f"      - {{name: {self.name}, inputs: [{', '.join(inputs)}], retry: {self.retries}, "
            f"env: {{{', '.join(env)}}}, commands: 'true'}}"
        )


@dataclass
class PlainBelt:
    """The rules of a belt run, evaluated over all its jobs at every step."""

    jobs: Sequence[PlainJob]
    states: dict[str, str] = field(default_factory=dict)
    suppliers: dict[str, str] = field(default_factory=lambda: dict.fromkeys(LIB_JOBS, "queued"))
    tries: Counter[str] = field(default_factory=Counter)
    is_cancelled: bool = False

    def settle(self) -> None:
        """Move waiting jobs until none can move."""
        for job in self.jobs:
            self.states.setdefault(job.name, "waiting")
        while any([self._move(job) for job in self.jobs if self.states[job.name] == "waiting"]):
            pass

    def _move(self, job: PlainJob) -> bool:
        needs = [self.states[name] for name in job.needs]
        supplies = [self.suppliers[name] for name in job.suppliers]
        if any(each in BAD for each in needs):
            self.states[job.name] = "skipped"
        elif all(each == "succeeded" for each in needs) and all(each in FINAL for each in supplies):
            is_whole = all(each == "succeeded" for each in supplies)
            self.states[job.name] = "queued" if is_whole else "errored"
        return self.states[job.name] != "waiting"

    def end(self, job: PlainJob, outcome: str) -> None:
        """Let a claimed job end; ``retry`` covers failures and errors of the set-up by default."""
        self.tries[job.name] += 1
        is_again = outcome in ("failed", "errored") and self.tries[job.name] <= job.retries
        self.states[job.name] = "queued" if is_again and not self.is_cancelled else outcome

    @property
    def belt_state(self) -> str:
        """Return the state of the belt run."""
        present = set(self.states.values())
        if not present <= set(FINAL):
            return "unfinished"
        worst = [each for each in ("errored", "failed", "cancelled") if each in present]
        return worst[0] if worst else "succeeded"


@st.composite
def belts(draw: st.DrawFn) -> list[PlainJob]:
    """Draw 1 to 40 jobs with any needs, in any order of the file."""
    jobs: list[PlainJob] = []
    for index in range(draw(st.one_of(st.integers(1, 8), st.integers(9, 40)))):
        before = [each.name for each in jobs]
        few = st.lists(st.sampled_from(before), unique=True, max_size=3) if before else st.just([])
        many = st.lists(st.sampled_from(before), unique=True) if before else st.just([])
        needs = draw(st.one_of(few, few, many))
        suppliers = draw(st.sampled_from([(), (), (), (), ("one",), ("two",), LIB_JOBS]))
        retries = draw(st.sampled_from([0, 0, 0, 1]))
        jobs.append(PlainJob(f"job-{index}", tuple(needs), suppliers, retries))
    return draw(st.permutations(jobs))


class Driver:
    """One belt run in the engine and the same in plain rules."""

    def __init__(self, jobs: list[PlainJob]) -> None:
        self.worker = Worker()
        publish_text(LIB)
        self.lib = start("lib.make")
        items = "\n".join(each.to_yaml() for each in jobs)
        publish_text(f"product: site\nbelts:\n  - name: build\n    jobs:\n{items}")
        self.run: BeltRun = start("site.build")
        self.jobs = {each.name: each for each in jobs}
        self.plain = PlainBelt(jobs)
        self.plain.settle()
        self.check()

    def check(self) -> None:
        """Compare the engine with the plain rules, and with a full evaluation of its own."""
        expected, found = self.plain.states, states(self.run)
        alike = {name: "running" if each == "starting" else each for name, each in found.items()}
        assert alike == expected
        belt = state(self.run)
        assert (belt if belt in FINAL else "unfinished") == self.plain.belt_state
        before = _rows(self.run)
        assert not release_belt_run(self.run.id), "A full evaluation found something to move."
        assert _rows(self.run) == before, "A full evaluation found another sentence."

    @property
    def steps(self) -> list[tuple[str, str]]:
        """Return what can happen now: a kind of step and the job that it happens to."""
        found = [("claim", name) for name, each in self.plain.states.items() if each == "queued"]
        ends = ("succeeded", "succeeded", "succeeded", "failed", "errored", "lost")
        for name, each in self.plain.states.items():
            if each == "running":
                found += [(end, name) for end in ends]
        found += [
            (f"supplier {end}", name)
            for name, each in self.plain.suppliers.items()
            if each == "queued"
            for end in ("succeeded", "failed")
        ]
        return found

    def step(self, what: str, name: str) -> None:
        """Do it in both."""
        if what.startswith("supplier "):
            self.worker.do(self.lib, name, what.removeprefix("supplier "), FILE="a.tar")
            self.plain.suppliers[name] = what.removeprefix("supplier ")
            deliver_all()
        elif what == "claim":
            self.worker.begun(self.run, name)
            self.plain.states[name] = "running"
        else:
            self._end(name, what)
        self.plain.settle()
        self.check()

    def _end(self, name: str, what: str) -> None:
        attempt_id = job_of(self.run, name).attempts.latest("number").id
        if what == "lost":
            assert lose_attempt(attempt_id, "Its runner is gone.")
        else:
            assert self.worker.end(attempt_id, what).stored
        if what == "lost":
            self.plain.states[name] = "errored"
        else:
            self.plain.end(self.jobs[name], what)

    def cancel(self, name: str | None) -> None:
        """Cancel a job that no runner has, or the whole run; runners answer at once."""
        if name is None:
            cancel_belt_run(self.run, by="somebody")
            self.plain.is_cancelled = True
        else:
            cancel_job_run(job_of(self.run, name), by="somebody")
        for each, stands in self.plain.states.items():
            if stands in FINAL or name not in (None, each):
                continue
            if stands == "running":
                attempt_id = job_of(self.run, each).attempts.latest("number").id
                assert self.worker.end(attempt_id, "cancelled").stored
            self.plain.states[each] = "cancelled"
        self.plain.settle()
        self.check()


def _rows(run: BeltRun) -> dict[str, Mapping[str, str]]:
    rows = JobRun.objects.filter(belt_run=run).values("name", "state", "reason", "message")
    return {each["name"]: each for each in rows}


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(belts(), st.data())
def test_incremental_release_equals_full_evaluation(
    jobs: list[PlainJob], data: st.DataObject
) -> None:
    with transaction.atomic():
        driver = Driver(jobs)
        is_cancelled_at = data.draw(st.one_of(st.none(), st.integers(0, 20)), label="cancel at")
        for number in range(1000):
            if number == is_cancelled_at:
                open_jobs = [k for k, v in driver.plain.states.items() if v not in FINAL]
                if open_jobs:
                    driver.cancel(data.draw(st.sampled_from([None, *open_jobs]), label="cancel"))
            steps = driver.steps
            if not steps:
                break
            driver.step(*data.draw(st.sampled_from(steps), label="step"))
        assert driver.plain.belt_state == state(driver.run)
        deliver_all()
        assert_invariants(drained=True)
        transaction.set_rollback(True)
