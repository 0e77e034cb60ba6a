"""Which waiting jobs go on: the pure rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.readiness import Decision, Supply, SupplyState, WaitingJob, decide
from runs.states import FINISHED, JobRunState, Reason

S = JobRunState
READY = Supply(SupplyState.READY)
PENDING = Supply(SupplyState.PENDING, "Waits for gem.build #1, which is still running.")
MISSING = Supply(SupplyState.MISSING, "gem.build has no successful run.")


def one(job: WaitingJob, **states: JobRunState) -> Decision:
    [decision] = decide([job], states)
    return decision


@pytest.mark.parametrize(
    ("needs", "states", "expected"),
    [
        ((), {}, S.QUEUED),
        (("a",), {"a": S.SUCCEEDED}, S.QUEUED),
        (("a", "b"), {"a": S.SUCCEEDED, "b": S.SUCCEEDED}, S.QUEUED),
        (("a", "b"), {"a": S.SUCCEEDED, "b": S.RUNNING}, S.WAITING),
        (("a",), {"a": S.QUEUED}, S.WAITING),
        (("a",), {"a": S.STARTING}, S.WAITING),
        (("a",), {"a": S.RUNNING}, S.WAITING),
        (("a",), {"a": S.FAILED}, S.SKIPPED),
        (("a",), {"a": S.ERRORED}, S.SKIPPED),
        (("a",), {"a": S.CANCELLED}, S.SKIPPED),
        (("a",), {"a": S.SKIPPED}, S.SKIPPED),
        (("a", "b"), {"a": S.RUNNING, "b": S.FAILED}, S.SKIPPED),
        (("a", "b"), {"a": S.SUCCEEDED, "b": S.WAITING}, S.WAITING),
    ],
)
def test_a_job_waits_for_what_it_needs_and_is_skipped_when_that_did_not_succeed(
    needs: tuple[str, ...], states: dict[str, JobRunState], expected: JobRunState
) -> None:
    assert one(WaitingJob("job", needs), **states).state == expected


@pytest.mark.parametrize(
    ("supplies", "expected", "reason"),
    [
        ((READY,), S.QUEUED, Reason.READY),
        ((READY, PENDING), S.WAITING, Reason.CREATED),
        ((PENDING, MISSING), S.ERRORED, Reason.INPUT_MISSING),
        ((READY, MISSING), S.ERRORED, Reason.INPUT_MISSING),
    ],
)
def test_a_job_waits_for_unfinished_suppliers_and_ends_without_one(
    supplies: tuple[Supply, ...], expected: JobRunState, reason: Reason
) -> None:
    decision = one(WaitingJob("job", (), supplies))
    assert (decision.state, decision.reason) == (expected, reason)


def test_a_failed_need_counts_before_a_missing_supplier() -> None:
    decision = one(WaitingJob("job", ("a",), (MISSING,)), a=S.FAILED)
    assert (decision.state, decision.reason) == (S.SKIPPED, Reason.UPSTREAM_FAILED)


def test_the_sentence_says_what_is_waited_for_and_what_went_wrong() -> None:
    waits = one(WaitingJob("job", ("a",), (PENDING,)), a=S.RUNNING)
    assert waits.sentence == f"Waits for job a. {PENDING.sentence}"
    skipped = one(WaitingJob("job", ("a",)), a=S.FAILED)
    assert skipped.sentence == "This job waits for job a, which failed."
    errored = one(WaitingJob("job", (), (MISSING,)))
    assert errored.sentence == MISSING.sentence


def test_a_skip_goes_through_the_whole_belt_in_one_call() -> None:
    chain = [WaitingJob("c", ("b",)), WaitingJob("d", ("c",)), WaitingJob("b", ("a",))]
    decisions = decide(chain, {"a": S.ERRORED})
    assert [(each.name, each.state) for each in decisions] == [
        ("b", S.SKIPPED),
        ("c", S.SKIPPED),
        ("d", S.SKIPPED),
    ]


def test_what_follows_a_job_that_becomes_ready_goes_on_waiting() -> None:
    decisions = decide([WaitingJob("b", ("a",)), WaitingJob("a")], {})
    assert {each.name: each.state for each in decisions} == {"a": S.QUEUED, "b": S.WAITING}


def test_job_with_an_unread_need_is_errored_and_never_skipped() -> None:
    decision = one(WaitingJob("job", ("a", "unread")), a=S.FAILED)
    assert (decision.state, decision.reason) == (S.ERRORED, Reason.INTERNAL)
    assert "unread" in decision.sentence


supplies = st.lists(st.sampled_from([READY, PENDING, MISSING]), max_size=2).map(tuple)


@st.composite
def belts(draw: st.DrawFn) -> tuple[list[WaitingJob], dict[str, JobRunState]]:
    """Draw a belt without cycles, some of whose jobs wait and some of which do not."""
    waiting: list[WaitingJob] = []
    states: dict[str, JobRunState] = {}
    count = draw(st.integers(1, 8))
    for index in range(count):
        name = f"job-{index}"
        if draw(st.booleans()):
            states[name] = draw(st.sampled_from([each for each in S if each != S.WAITING]))
        else:
            before = [f"job-{each}" for each in range(index)]
            needs = draw(st.lists(st.sampled_from(before), unique=True)) if before else []
            waiting.append(WaitingJob(name, tuple(needs), draw(supplies)))
    return draw(st.permutations(waiting)), states


@given(belts())
def test_each_waiting_job_is_decided_once_and_by_the_rules(
    belt: tuple[list[WaitingJob], dict[str, JobRunState]],
) -> None:
    waiting, states = belt
    decisions = decide(waiting, states)
    assert sorted(each.name for each in decisions) == sorted(each.name for each in waiting)
    after = states | {each.name: each.state for each in decisions}
    by_name = {each.name: each for each in waiting}
    for decision in decisions:
        job = by_name[decision.name]
        needed = [after[name] for name in job.needs]
        broken = any(each in FINISHED and each != S.SUCCEEDED for each in needed)
        missing = any(each.state == SupplyState.MISSING for each in job.supplies)
        waits = any(each not in FINISHED for each in needed) or PENDING in job.supplies
        expected = (
            S.SKIPPED if broken else S.ERRORED if missing else S.WAITING if waits else S.QUEUED
        )
        assert decision.state == expected
        assert bool(decision.sentence) == (decision.state != S.QUEUED)


@given(belts())
def test_deciding_again_after_carrying_out_decides_nothing_new(
    belt: tuple[list[WaitingJob], dict[str, JobRunState]],
) -> None:
    waiting, states = belt
    after = states | {
        each.name: each.state for each in decide(waiting, states) if each.state != S.WAITING
    }
    left = [each for each in waiting if each.name not in after]
    assert all(each.state == S.WAITING for each in decide(left, after))
