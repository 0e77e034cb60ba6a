"""The effects of moved job runs: others become ready, edges fire, the belt run ends."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db.models import CharField, QuerySet, UUIDField

from belts.definitions import spec_of
from belts.spec.shapes import BeltSpec, JobSpec
from products.identifiers import uuid7
from products.models import OutboxRow
from products.outbox import Consequence
from products.remembered import Remembered
from products.statements import Given, Select
from runs.edges import advance_edges
from runs.inputs import InputMissingError, consume, supplies_of, takes_values
from runs.looks import Look, look_at, waiting_consumers
from runs.models import BeltRun, JobRun
from runs.readiness import Decision, Supply, WaitingJob, decide
from runs.states import (
    BELT_FINISHED,
    FINISHED,
    BeltRunState,
    JobRunState,
    Reason,
    final_belt_state,
)
from runs.taint import taint
from runs.transitions import JobKey, Moves, Why, moving

#: Up to this number, job runs are read by name; if more are needed, all are read.
_FEW_NAMES = 8

#: The belt runs that were looked at last, for what never changes of them.
_runs: Remembered[UUID, BeltRun] = Remembered(64)


def belt_of(run: BeltRun) -> BeltSpec | None:
    """Return the belt of a run as its frozen definition has it."""
    return spec_of(run.definition).belt(run.belt.name)


def job_of(run: BeltRun, name: str) -> JobSpec | None:
    """Return a job of a run as its frozen definition has it."""
    belt = belt_of(run)
    return belt.job(name) if belt is not None else None


def read_run(belt_run_id: UUID) -> BeltRun:
    """Return a belt run with what its verbs need of it; see ``run_in_state``."""
    columns = ("state", "cancel_requested_at", "tainted")
    row: Any = BeltRun.objects.values_list(*columns).get(id=belt_run_id)
    return run_in_state(belt_run_id, *row)


def run_in_state(
    belt_run_id: UUID,
    state: BeltRunState,
    cancel_requested_at: datetime | None,
    tainted: bool,
) -> BeltRun:
    """Return a belt run with its belt, product and definition, and with this present state.

    All else that may change in it is from an earlier call.
    """
    run = copy(frozen_run(belt_run_id))
    run.state, run.cancel_requested_at, run.tainted = state, cancel_requested_at, tainted
    return run


def frozen_run(belt_run_id: UUID) -> BeltRun:
    """Return a belt run with belt, product and definition; only what never changes is right.

    Whether it is tainted may change: a claim has that.
    """
    run = _runs.get(belt_run_id)
    if run is None:
        runs: Any = BeltRun.objects.select_related("belt__product", "definition")
        # A definition's document is large, and mostly known already.
        run = runs.defer("definition__document").get(id=belt_run_id)
        _runs.put(belt_run_id, run)
    return run


def release_belt_run(belt_run_id: UUID) -> bool:
    """Look at a belt run again: release, settle and fire what its present states allow.

    Returns whether anything moved.
    """
    if not BeltRun.objects.unfinished().filter(id=belt_run_id).exists():
        return False
    with moving(belt_run_id) as moves:
        follow_up(moves, read_run(belt_run_id))
        return moves.is_any


def follow_up(moves: Moves, run: BeltRun, present: Look | None = None) -> None:
    """Do all that follows from the present states of the run's job runs.

    ``run`` was read after its row was locked. ``present`` is how the belt run stands now, for a
    caller that knows it, and says that only what this transaction has moved can make a difference.
    """
    ended = None if present is None else _ended(moves.moved)
    present = present or look_at(run.id)
    if present.has_waiting and _release_waiting(moves, run, ended):
        present = look_at(run.id)
    state = _settle(moves, run, present)
    if state in BELT_FINISHED or _ended(moves.moved):
        if present.has_edges:
            advance_edges(moves, _states(run.id), state)
        if present.is_awaited:
            _tell_consumers(moves, run.id)


def _ended(moved: Mapping[str, JobRunState]) -> set[str]:
    return {name for name, state in moved.items() if state in FINISHED}


def _states(run_id: UUID) -> dict[str, JobRunState]:
    rows = JobRun.objects.filter(belt_run_id=run_id).order_by().values_list("name", "state")
    return {name: JobRunState(state) for name, state in rows}


# --- Waiting jobs ---------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Row:
    """A job run of the belt run that is looked at."""

    key: JobKey
    needs: tuple[str, ...]
    state: JobRunState
    message: str


def _release_waiting(moves: Moves, run: BeltRun, ended: set[str] | None) -> bool:
    """Move the waiting jobs that can go on; return whether any of them ended.

    ``ended`` are the jobs that have ended in this transaction: only jobs that need one of them are
    decided. None decides all waiting jobs.
    """
    has_ended = False
    while ended is None or ended:
        decided = _needing(run, ended)
        rows = _rows(run.id, _with_needs(run, decided))
        waiting = {
            name: row
            for name, row in rows.items()
            if row.state == JobRunState.WAITING and (decided is None or name in decided)
        }
        # The needs of a job that is read but not decided may be unread: it stays as it is.
        states = {name: row.state for name, row in rows.items() if name not in waiting}
        supplies = _supplies(run, waiting)
        jobs = [
            WaitingJob(name, row.needs, tuple(supplies.get(row.key.id, ())))
            for name, row in waiting.items()
        ]
        doubtful = {job.name for job in jobs if any(each.is_tainted for each in job.supplies)}
        ended = _ended(_carry_out(moves, run, _Decided(waiting, doubtful), decide(jobs, states)))
        has_ended |= bool(ended)
    return has_ended


def _needing(run: BeltRun, ended: set[str] | None) -> set[str] | None:
    """Return the names of the jobs that need one of these directly; None for all jobs."""
    belt = belt_of(run)
    if ended is None or belt is None:
        return None
    return {job.name for job in belt.jobs if not ended.isdisjoint(job.needs)}


def _with_needs(run: BeltRun, names: set[str] | None) -> set[str] | None:
    """Return these jobs and all jobs that they need directly; None for all jobs."""
    if names is None:
        return None
    needs = (job.needs for name in names if (job := job_of(run, name)) is not None)
    return names.union(*needs)


def _supplies(run: BeltRun, waiting: Mapping[str, _Row]) -> Mapping[UUID, Sequence[Supply]]:
    """Return how the suppliers stand of those jobs that may have any."""
    belt = belt_of(run)
    jobs = {name: belt.job(name) if belt else None for name in waiting}
    asked = [waiting[name].key.id for name, job in jobs.items() if job is None or takes_values(job)]
    return supplies_of(asked) if asked else {}


def _rows(run_id: UUID, names: set[str] | None) -> dict[str, _Row]:
    """Return the job runs of these names, or of all."""
    if names is not None and not names:
        return {}
    if names is not None and len(names) > _FEW_NAMES:
        names = None
    given = {f"name{n}": name for n, name in enumerate(sorted(names or ()))}
    rows = _ROWS[len(given)].rows(run=run_id, **given)
    return {
        name: _Row(JobKey(id_, name, queue), tuple(needs), JobRunState(state), message)
        for id_, name, queue, needs, state, message in rows
    }


def _rows_of(names: int) -> QuerySet[Any, Any]:
    """Return the query for that number of names; 0 means all job runs."""
    rows: Any = JobRun.objects.filter(belt_run_id=Given("run", UUIDField())).order_by("position")
    if names:
        rows = rows.filter(name__in=[Given(f"name{n}", CharField()) for n in range(names)])
    found: QuerySet[Any, Any] = rows.values_list("id", "name", "queue", "needs", "state", "message")
    return found


_ROWS = [Select(partial(_rows_of, names)) for names in range(_FEW_NAMES + 1)]


@dataclass(frozen=True, slots=True)
class _Decided:
    """The waiting jobs that are decided; a supplier of the ``doubtful`` ones is tainted."""

    rows: Mapping[str, _Row]
    doubtful: Collection[str]


def _carry_out(
    moves: Moves, run: BeltRun, decided: _Decided, decisions: Iterable[Decision]
) -> dict[str, JobRunState]:
    """Carry out the decisions; return the new states of the job runs that moved."""
    done: dict[str, JobRunState] = {}
    for decision in decisions:
        row = decided.rows[decision.name]
        if decision.state == JobRunState.WAITING:
            _say(row, decision.sentence)
        elif decision.state == JobRunState.QUEUED:
            is_doubtful = decision.name in decided.doubtful
            done[decision.name] = _queue(moves, run, row.key, is_doubtful=is_doubtful)
        else:
            why = Why(decision.reason, decision.sentence)
            moves.job(row.key, JobRunState.WAITING, decision.state, why)
            done[decision.name] = decision.state
    return done


def _say(row: _Row, sentence: str) -> None:
    if sentence != row.message:
        JobRun.objects.filter(id=row.key.id).update(message=sentence)


def _queue(moves: Moves, run: BeltRun, key: JobKey, *, is_doubtful: bool) -> JobRunState:
    job = job_of(run, key.name)
    try:
        is_tainted = (job is not None and consume(key.id, job, run=run)) or is_doubtful
    except InputMissingError as error:
        why = Why(Reason.INPUT_MISSING, str(error))
        moves.job(key, JobRunState.WAITING, JobRunState.ERRORED, why)
        return JobRunState.ERRORED
    if is_tainted and not run.tainted:
        taint(run.id)
        run.tainted = True
    moves.queue(key, JobRunState.WAITING, Why(Reason.READY), number=1)
    return JobRunState.QUEUED


# --- The belt run itself, and who waits for it ----------------------------------------------------
def _settle(moves: Moves, run: BeltRun, present: Look) -> BeltRunState:
    """Return the state of the belt run, after moving it to its end if all jobs have ended."""
    old = BeltRunState(run.state)
    if old in BELT_FINISHED or present.has_unfinished:
        return old
    state = final_belt_state(_states(run.id).values())
    moves.belt(old, state, Why(Reason.FINISHED))
    return state


def _tell_consumers(moves: Moves, run_id: UUID) -> None:
    """Have the belt runs looked at whose jobs wait for values of this one."""
    waiting = waiting_consumers(run_id).order_by()
    for consumer_run_id in waiting.values_list("consumer__belt_run_id", flat=True).distinct():
        if consumer_run_id != run_id:
            moves.then(look_again(consumer_run_id))


def look_again(belt_run_id: UUID, *, delay_s: float = 0) -> Consequence:
    """Return the consequence by which a belt run is looked at again."""
    payload = {"belt_run": str(belt_run_id)}
    key = f"release:{belt_run_id}:{uuid7()}"
    return Consequence(OutboxRow.Kind.RELEASE, key, payload, delay_s)
