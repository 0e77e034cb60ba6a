"""A belt of any shape whose jobs end in any order and any way: each job waits for what it needs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runs.readiness import WaitingJob, decide
from runs.states import FINISHED, JobRunState

S = JobRunState
ends = st.sampled_from([S.SUCCEEDED, S.SUCCEEDED, S.FAILED, S.ERRORED, S.CANCELLED])


@st.composite
def belts(draw: st.DrawFn) -> list[WaitingJob]:
    """Draw a belt without cycles, in any order."""
    jobs: list[WaitingJob] = []
    for index in range(draw(st.integers(1, 8))):
        before = [each.name for each in jobs]
        needs = draw(st.lists(st.sampled_from(before), unique=True)) if before else []
        jobs.append(WaitingJob(f"job-{index}", tuple(needs)))
    return draw(st.permutations(jobs))


@given(belts(), st.data())
def test_no_job_is_queued_before_what_it_needs_succeeded_and_all_come_to_an_end(
    jobs: list[WaitingJob], data: st.DataObject
) -> None:
    states: dict[str, JobRunState] = {}
    waiting = jobs
    while len(states) < len(jobs) or not set(states.values()) <= FINISHED:
        for decision in decide(waiting, states):
            needs = next(each.needs for each in jobs if each.name == decision.name)
            needed = {states.get(name) for name in needs}
            if decision.state == S.QUEUED:
                assert needed <= {S.SUCCEEDED}
            if decision.state == S.SKIPPED:
                assert needed & {S.FAILED, S.ERRORED, S.CANCELLED, S.SKIPPED}
            if decision.state != S.WAITING:
                states[decision.name] = decision.state
        waiting = [each for each in jobs if each.name not in states]
        queued = sorted(name for name, state in states.items() if state == S.QUEUED)
        assert queued or not waiting, "Jobs wait and nothing goes on."
        if queued:
            states[data.draw(st.sampled_from(queued))] = data.draw(ends)
