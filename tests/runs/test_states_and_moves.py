"""The table of moves, and the one writer of states."""

from __future__ import annotations

import ast
from itertools import product
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from products.models import OutboxRow
from runs.errors import IllegalMoveError
from runs.models import Attempt, BeltRun, JobRun, RunEvent
from runs.states import (
    ATTEMPT_MOVES,
    BELT_FINISHED,
    BELT_MOVES,
    FINISHED,
    MOVES,
    AttemptState,
    BeltRunState,
    JobRunState,
    Reason,
    final_belt_state,
)
from runs.transitions import JobKey, Why, moving
from tests import builders
from tests.own_database import REPOSITORY

pytestmark = [pytest.mark.django_db, pytest.mark.database]

WHY = Why(Reason.READY, "Because of a test.", "a test")


def key_of(row: JobRun) -> JobKey:
    return JobKey(row.id, row.name, row.queue)


@pytest.mark.parametrize(("old", "new"), list(product(JobRunState, JobRunState)))
def test_a_job_run_makes_the_moves_of_the_table_with_an_event_each_and_no_others(
    old: JobRunState, new: JobRunState
) -> None:
    row = builders.a_job_run(old)
    before = RunEvent.objects.count()
    if new not in MOVES[old]:
        with pytest.raises(IllegalMoveError, match=f"from {old} to {new}"):
            move_job(row, old, new)
        row.refresh_from_db()
        assert (row.state, RunEvent.objects.count()) == (old, before)
        return
    assert move_job(row, old, new)
    row.refresh_from_db()
    assert (row.state, row.reason, row.message) == (new, "ready", "Because of a test.")
    assert bool(row.finished_at) == (new in FINISHED)
    event = RunEvent.objects.latest("id")
    assert (event.job_run_id, event.old, event.new) == (row.id, old, new)
    assert (event.reason, event.message, event.by) == ("ready", "Because of a test.", "a test")
    assert RunEvent.objects.count() == before + 1


def move_job(row: JobRun, old: JobRunState, new: JobRunState) -> bool:
    with moving(row.belt_run_id) as moves:
        return moves.job(key_of(row), old, new, WHY)


@pytest.mark.parametrize(("old", "new"), list(product(BeltRunState, BeltRunState)))
def test_a_belt_run_makes_the_moves_of_the_table_and_no_others(
    old: BeltRunState, new: BeltRunState
) -> None:
    run = builders.a_belt_run({"compile": "queued"}, state=old)
    if new not in BELT_MOVES[old]:
        with pytest.raises(IllegalMoveError), moving(run.id) as moves:
            moves.belt(old, new, WHY)
        return
    with moving(run.id) as moves:
        assert moves.belt(old, new, WHY)
    run.refresh_from_db()
    assert run.state == new
    assert bool(run.finished_at) == (new in BELT_FINISHED)
    event = RunEvent.objects.latest("id")
    assert (event.belt_run_id, event.job_run_id, event.old, event.new) == (run.id, None, old, new)


@pytest.mark.parametrize(("old", "new"), list(product(AttemptState, AttemptState)))
def test_an_attempt_makes_the_moves_of_the_table_and_no_others(
    old: AttemptState, new: AttemptState
) -> None:
    attempt = builders.an_attempt(state=old)
    if new not in ATTEMPT_MOVES[old]:
        with pytest.raises(IllegalMoveError), moving(attempt.job_run.belt_run_id) as moves:
            moves.attempt(attempt.id, old, new)
        return
    with moving(attempt.job_run.belt_run_id) as moves:
        assert moves.attempt(attempt.id, old, new)
    attempt.refresh_from_db()
    assert attempt.state == new
    assert bool(attempt.active_key) == (new == AttemptState.RUNNING)


def test_a_move_from_a_state_that_has_passed_changes_nothing_and_says_so() -> None:
    row = builders.a_job_run("starting")
    before = RunEvent.objects.count()
    assert not move_job(row, JobRunState.QUEUED, JobRunState.CANCELLED)
    row.refresh_from_db()
    assert (row.state, RunEvent.objects.count()) == ("starting", before)


def test_failed_transaction_stores_nothing() -> None:
    row = builders.a_job_run("waiting")
    before = RunEvent.objects.count()
    with pytest.raises(IllegalMoveError), moving(row.belt_run_id) as moves:  # noqa: PT012
        assert moves.queue(key_of(row), JobRunState.WAITING, WHY, number=1)
        moves.belt(BeltRunState.RUNNING, BeltRunState.PENDING, WHY)
    row.refresh_from_db()
    assert (row.state, RunEvent.objects.count(), OutboxRow.objects.count()) == (
        "waiting",
        before,
        0,
    )


def test_queueing_writes_one_hint_and_claiming_in_the_same_transaction_takes_it_back() -> None:
    first, second = builders.a_job_run("waiting"), builders.a_job_run("waiting")
    for row, claimed in ((first, False), (second, True)):
        with moving(row.belt_run_id) as moves:
            assert moves.queue(key_of(row), JobRunState.WAITING, WHY, number=1)
            if claimed:
                moves.no_hint(row.id)
    hint = OutboxRow.objects.get()
    assert hint.payload == {"job_run": str(first.id), "queue": "default"}


def test_a_very_long_message_is_cut() -> None:
    row = builders.a_job_run("queued")
    with moving(row.belt_run_id) as moves:
        moves.job(
            key_of(row),
            JobRunState.QUEUED,
            JobRunState.ERRORED,
            Why(Reason.NO_RUNNER, "x" * 10_000),
        )
    row.refresh_from_db()
    assert len(row.message) == 4000
    assert row.message.endswith("…")


def test_every_state_is_reached_and_every_way_ends() -> None:
    for moves in (MOVES, ATTEMPT_MOVES, BELT_MOVES):
        table: dict[str, frozenset[str]] = {
            str(old): frozenset(map(str, new)) for old, new in moves.items()
        }
        reached = set().union(*table.values())
        assert set(table) - reached <= {"waiting", "starting", "pending"}
        ends = {state for state, further in table.items() if not further}
        for state in table:
            assert ends & _reachable(table, state)


def _reachable(table: dict[str, frozenset[str]], state: str) -> set[str]:
    found, left = {state}, [state]
    while left:
        further = table[left.pop()] - found
        found |= further
        left.extend(further)
    return found


@given(st.lists(st.sampled_from(sorted(FINISHED))))
def test_a_belt_run_ends_as_the_worst_of_its_job_runs(ends: list[JobRunState]) -> None:
    worst = next((each for each in ("errored", "failed", "cancelled") if each in ends), "succeeded")
    assert final_belt_state(ends) == worst


def test_only_one_module_writes_states() -> None:
    """Of the apps that know runs; migrations and the one writer are left out."""
    writers = {
        f"{path.relative_to(REPOSITORY)}:{line}"
        for app in ("conveyor_site", "runners", "runs")
        for path in (REPOSITORY / app).rglob("*.py")
        if "migrations" not in path.parts and path.name != "transitions.py"
        for line in _state_writes(ast.parse(path.read_text()))
    }
    assert writers == set()


def _state_writes(tree: ast.AST) -> list[int]:
    """Return the lines that assign to an attribute ``state`` or update a column of that name."""
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            targets = [each for each in node.targets if isinstance(each, ast.Attribute)]
            lines += [node.lineno for each in targets if each.attr == "state"]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            named = {each.arg for each in node.keywords}
            if node.func.attr in ("update", "create", "save") and "state" in named:
                lines.append(node.lineno)
    return lines


def test_the_database_refuses_two_living_attempts_of_a_job_run() -> None:
    attempt = builders.an_attempt()
    with pytest.raises(Exception, match=r"(?i)unique"):
        builders.an_attempt(attempt.job_run)


def test_database_refuses_unknown_states() -> None:
    row = builders.a_job_run("queued")
    for model, pk in ((JobRun, row.id), (BeltRun, row.belt_run_id)):
        with pytest.raises(Exception, match=r"(?i)check|state_known"):
            _write(model, pk, "asleep")


def _write(model: type[JobRun] | type[BeltRun], pk: object, state: str) -> None:
    with moving(uuid4(), is_new=True):
        model.objects.filter(pk=pk).update(state=state)


def test_attempts_alive_have_a_key_and_those_that_ended_have_none() -> None:
    attempt = builders.an_attempt()
    with (
        pytest.raises(Exception, match=r"(?i)check|active_iff_alive"),
        moving(uuid4(), is_new=True),
    ):
        Attempt.objects.filter(id=attempt.id).update(active_key=None)
