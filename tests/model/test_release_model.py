"""Random belts, random ends: the incremental release equals a plain evaluation after every step.

``runs.release`` reads only the jobs around what has ended. Here a belt of any shape goes through
claims, ends, losses, cancels, retries, repeats and the ends of suppliers in any order. After every
step the stored states and edges equal those of ``PlainBelt``, which looks at everything each time
and shares no code with the engine, and a full evaluation by the engine itself finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runs.cancel import cancel_belt_run, cancel_job_run
from runs.errors import NothingToRerunError
from runs.finish import give_back_attempt, lose_attempt
from runs.models import BeltRun, Edge, JobRun
from runs.release import release_belt_run
from runs.rerun import rerun_belt_run
from tests.engine import Worker, deliver_all, job_of, publish_text, start, state, states
from tests.invariants import assert_invariants
from tests.model.plain import (
    CLAIMED,
    ENDS,
    FINAL,
    SUPPLIERS,
    PlainBelt,
    PlainEdge,
    PlainJob,
    to_yaml,
)

pytestmark = [pytest.mark.django_db, pytest.mark.database]

LIB = """
    product: lib
    belts:
      - name: make
        jobs:
          - {name: one, commands: make, outputs: [{String: FILE}]}
          - {name: two, commands: make, outputs: [{String: FILE}]}
      - name: bake
        jobs:
          - {name: one, commands: make, outputs: [{String: FILE}]}
"""


@st.composite
def belts(draw: st.DrawFn) -> list[PlainJob]:
    """Draw 1 to 20 jobs with any needs, in any order of the file."""
    jobs: list[PlainJob] = []
    for index in range(draw(st.one_of(st.integers(1, 8), st.integers(9, 20)))):
        before = [each.name for each in jobs]
        few = st.lists(st.sampled_from(before), unique=True, max_size=3) if before else st.just([])
        many = st.lists(st.sampled_from(before), unique=True) if before else st.just([])
        needs = draw(st.one_of(few, few, many))
        pairs = (SUPPLIERS[:1], SUPPLIERS[1:2], SUPPLIERS[2:], SUPPLIERS[1:], SUPPLIERS)
        suppliers = draw(st.sampled_from([(), (), (), (), *pairs]))
        place = draw(st.sampled_from(["env", "pre-run", "commands", "post-run"]))
        retries = draw(st.sampled_from([0, 0, 0, 1]))
        jobs.append(PlainJob(f"job-{index}", tuple(needs), tuple(suppliers), place, retries))
    return draw(st.permutations(jobs))


@st.composite
def edges(draw: st.DrawFn, jobs: Sequence[PlainJob]) -> list[PlainEdge]:
    """Draw up to three downstream belts, each after jobs, after ends of the belt, or both."""
    names = st.sampled_from([each.name for each in jobs])
    after = st.lists(names, unique=True, max_size=2)
    ends = st.lists(st.sampled_from(ENDS), unique=True, max_size=3)
    found = [
        PlainEdge(f"down-{index}", tuple(draw(after)), tuple(draw(ends)))
        for index in range(draw(st.integers(0, 3)))
    ]
    return [each for each in found if each.after or each.on]


class Driver:
    """One belt run in the engine and the same in plain rules."""

    def __init__(self, jobs: list[PlainJob], downstreams: list[PlainEdge]) -> None:
        self.worker = Worker()
        publish_text(LIB)
        self.libs = {name: start(f"lib.{name}") for name in ("make", "bake")}
        publish_text(to_yaml(jobs, downstreams))
        self.run: BeltRun = start("site.build")
        self.plain = PlainBelt(jobs, downstreams)
        self.plain.settle()
        self.check()

    def check(self) -> None:
        """Compare the engine with the plain rules, and with a full evaluation of its own."""
        assert states(self.run) == self.plain.states
        belt = state(self.run)
        assert (belt if belt in FINAL else "unfinished") == self.plain.belt_state
        assert _edges(self.run) == self.plain.edge_states
        before = _rows(self.run)
        assert not release_belt_run(self.run.id), "A full evaluation found something to move."
        assert _rows(self.run) == before, "A full evaluation found another sentence."

    @property
    def steps(self) -> list[tuple[str, str]]:
        """Return what can happen now: a kind of step and the job that it happens to."""
        ends = {
            "queued": ("claim",),
            "starting": ("start", "start", "start", "errored", "given back", "lost"),
            "running": ("succeeded", "succeeded", "succeeded", "failed", "errored", "lost"),
        }
        found = []
        for name, each in self.plain.states.items():
            found += [(end, name) for end in ends.get(each, ())]
            if each in CLAIMED and name in self.plain.cancelled:
                found.append(("cancelled", name))
        found += [
            (f"supplier {end}", name)
            for name, each in self.plain.suppliers.items()
            if each == "queued"
            for end in ("succeeded", "failed", "cancelled")
        ]
        return found

    def step(self, what: str, name: str) -> None:
        """Do it in both."""
        if what.startswith("supplier "):
            self._end_supplier(name, what.removeprefix("supplier "))
        elif what == "claim":
            self.worker.claimed(self.run, name)
            self.plain.states[name] = "starting"
        else:
            self._move_claimed(name, what)
        self.plain.settle()
        self.check()

    def _end_supplier(self, name: str, outcome: str) -> None:
        belt, job = name.split(".")
        if outcome == "cancelled":
            cancel_job_run(job_of(self.libs[belt], job), by="somebody")
        else:
            self.worker.do(self.libs[belt], job, outcome, FILE="a.tar")
        self.plain.suppliers[name] = outcome
        deliver_all()

    def _move_claimed(self, name: str, what: str) -> None:
        attempt_id = job_of(self.run, name).attempts.latest("number").id
        is_cancelled = name in self.plain.cancelled
        if what == "start":
            claim = self.worker.claim(nonce=job_of(self.run, name).attempts.latest("number").nonce)
            assert claim is not None
            assert self.worker.start(claim) != is_cancelled
        elif what == "given back":
            assert give_back_attempt(attempt_id, message="Its runner leaves.")
        elif what == "lost":
            assert lose_attempt(attempt_id, "Its runner is gone.")
        else:
            assert self.worker.end(attempt_id, what).stored
        self.plain.move_claimed(name, what)

    def cancel(self, name: str | None) -> None:
        """Ask for the cancel of a job or of the whole run; runners answer when they like."""
        if name is None:
            cancel_belt_run(self.run, by="somebody")
        else:
            cancel_job_run(job_of(self.run, name), by="somebody")
        self.plain.cancel(name)
        self.plain.settle()
        self.check()

    def rerun(self, *, only_failed: bool, continue_downstream: bool) -> bool:
        """Repeat the run that has ended and go on with the repeat; False if there is nothing to."""
        how = {"only_failed": only_failed, "continue_downstream": continue_downstream}
        if only_failed and self.plain.belt_state == "succeeded":
            with pytest.raises(NothingToRerunError):
                rerun_belt_run(self.run, by="somebody", **how)
            return False
        self.run = rerun_belt_run(self.run, by="somebody", **how)
        self.plain = self.plain.again(**how)
        self.plain.settle()
        self.check()
        return True


def _rows(run: BeltRun) -> dict[str, Mapping[str, str]]:
    rows = JobRun.objects.filter(belt_run=run).values("name", "state", "reason", "message")
    return {each["name"]: each for each in rows}


def _edges(run: BeltRun) -> dict[str, str]:
    rows = Edge.objects.filter(upstream=run)
    return {
        each.belt_name: "fired" if each.fired_at else "closed" if each.closed_at else "open"
        for each in rows
    }


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_incremental_release_equals_full_evaluation(data: st.DataObject) -> None:
    jobs = data.draw(belts(), label="jobs")
    downstreams = data.draw(edges(jobs), label="edges")
    with transaction.atomic():
        driver = Driver(jobs, downstreams)
        _drive_to_the_end(driver, data)
        for _ in range(data.draw(st.integers(0, 2), label="rounds")):
            how = {
                "only_failed": data.draw(st.booleans(), label="only failed"),
                "continue_downstream": data.draw(st.booleans(), label="continue downstream"),
            }
            if driver.rerun(**how):
                _drive_to_the_end(driver, data)
        deliver_all()
        assert_invariants(drained=True)
        transaction.set_rollback(True)


def _drive_to_the_end(driver: Driver, data: st.DataObject) -> None:
    cancel_at = data.draw(st.one_of(st.none(), st.integers(0, 20)), label="cancel at")
    for number in range(2000):
        open_jobs = [k for k, v in driver.plain.states.items() if v not in FINAL]
        if number == cancel_at and open_jobs:
            driver.cancel(data.draw(st.sampled_from([None, *open_jobs]), label="cancel"))
        steps = driver.steps
        if not steps:
            break
        driver.step(*data.draw(st.sampled_from(steps), label="step"))
    assert driver.plain.belt_state == state(driver.run)
