"""What is true of the engine's rows at every moment, and what more is true once all has ended.

The letters are those of reliability work everywhere: an invariant that fails names itself with the
row that breaks it. Nothing here asks the engine's own verbs; only rows, and what jobs wrote.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from uuid import UUID

from django.db.models import Prefetch, QuerySet

from belts.definitions import spec_of
from belts.spec.references import job_references
from belts.spec.shapes import JobSpec
from products.models import OutboxRow
from runs.edges import ENDS
from runs.inputs import supplies_of
from runs.logs import read_log
from runs.models import Attempt, BeltRun, Consumption, Edge, JobRun, LogChunk, RunEvent
from runs.readiness import WaitingJob, decide
from runs.states import (
    ATTEMPT_MOVES,
    BELT_FINISHED,
    BELT_MOVES,
    CLAIMED,
    FINISHED,
    MOVES,
    BeltRunState,
    JobRunState,
    Reason,
    final_belt_state,
)

S = JobRunState
_ALIVE = ("starting", "running")


def assert_invariants(*, drained: bool = False) -> None:
    """Raise AssertionError with all that is wrong in the database.

    ``drained`` says that nothing is left to be done: every job must have ended, everything must
    have followed, and nothing may be waiting to be delivered.
    """
    wrong = [*_wrong_now()]
    if drained:
        wrong += _left_over()
    assert not wrong, "\n".join(wrong[:20])


def _wrong_now() -> Iterator[str]:
    with_log = set(LogChunk.objects.order_by().values_list("attempt_id", flat=True).distinct())
    for run in _whole_runs():
        rows = list(run.job_runs.all())
        yield from _wrong_history(run, rows)
        yield from _wrong_sum(run, rows)
        yield from _wrong_needs(run, rows)
        yield from _wrong_skips(run, rows)
        yield from _wrong_edges(run, rows)
        for row in rows:
            attempts = list(row.attempts.all())
            job = _job_of(run, row)
            yield from _wrong_attempts(row, attempts)
            yield from _wrong_tries(row, attempts, job)
            yield from _wrong_values(run, row, attempts, job)
            for attempt in attempts:
                if attempt.log_sha256 or attempt.id in with_log:
                    yield from _wrong_log(attempt)
        yield from _forgotten(run, rows)


def _whole_runs() -> QuerySet[BeltRun]:
    """Return all belt runs with all that hangs on them, read in one query for each kind of row."""
    runs: QuerySet[BeltRun] = BeltRun.objects.select_related("belt__product", "definition")
    return runs.prefetch_related(
        Prefetch("job_runs", JobRun.objects.order_by("position")),
        Prefetch("job_runs__attempts", Attempt.objects.order_by("number")),
        Prefetch("job_runs__consumed", Consumption.objects.select_related("output")),
        "job_runs__outputs",
        Prefetch("run_events", RunEvent.objects.order_by("id")),
        Prefetch("edges", Edge.objects.select_related("started__belt__product")),
        Prefetch("downstream_runs", BeltRun.objects.select_related("belt__product")),
    )


def _job_of(run: BeltRun, row: JobRun) -> JobSpec:
    belt = spec_of(run.definition).belt(run.belt.name)
    job = belt.job(row.name) if belt is not None else None
    assert job is not None, f"{row} is in no definition."
    return job


# --- States ---------------------------------------------------------------------------------------
def _wrong_history(run: BeltRun, rows: Iterable[JobRun]) -> Iterator[str]:
    """The events of a row are its moves, one after the other, and no final state ever changed."""
    events: dict[UUID | None, list[RunEvent]] = defaultdict(list)
    for event in run.run_events.all():
        events[event.job_run_id].append(event)
    belt_table = {str(old): set(map(str, new)) for old, new in BELT_MOVES.items()}
    table = {str(old): set(map(str, new)) for old, new in MOVES.items()}
    yield from _wrong_moves(f"{run}", events[None], run.state, belt_table)
    for row in rows:
        yield from _wrong_moves(f"{row}", events[row.id], row.state, table)


def _wrong_moves(
    label: str, events: list[RunEvent], state: str, table: dict[str, set[str]]
) -> Iterator[str]:
    present = ""
    for event in events:
        if event.old != present or (present and event.new not in table[present]):
            yield f"I5 {label} was {present!r} and an event moves it {event.old!r} → {event.new!r}."
        present = event.new
    if present != state:
        yield f"I5 {label} is {state} and its last event says {present!r}."


def _wrong_sum(run: BeltRun, rows: list[JobRun]) -> Iterator[str]:
    """A belt run has ended exactly when all its jobs have, as the worst of them."""
    states = [JobRunState(row.state) for row in rows]
    if all(state in FINISHED for state in states):
        if run.state != final_belt_state(states):
            yield f"I1 {run} is {run.state} though its jobs are {', '.join(states)}."
    elif run.state in BELT_FINISHED:
        yield f"I5 {run} is {run.state} though its jobs are {', '.join(states)}."
    elif run.state == BeltRunState.PENDING and any(row.last_attempt for row in rows):
        yield f"I1 {run} is pending though a job of it was claimed."


def _wrong_needs(run: BeltRun, rows: list[JobRun]) -> Iterator[str]:
    """A job run needs what its definition says, and was never decided without knowing its needs."""
    for row in rows:
        job = _job_of(run, row)
        if tuple(row.needs) != job.needs:
            yield f"I14 {row} needs {row.needs}, and its definition says {job.needs}."
        if row.reason == Reason.INTERNAL and row.state == S.ERRORED and not row.last_attempt:
            yield f"I14 {row} was decided without knowing its needs: {row.message}"


def _wrong_skips(run: BeltRun, rows: list[JobRun]) -> Iterator[str]:
    """A job is skipped only if a need of it, direct or through others, did not succeed.

    The other way is a run that was refused as a whole when it was created: then some job of it is
    errored. A run with a job skipped for either reason has not succeeded.
    """
    by_name = {row.name: row for row in rows}
    refused = {
        each.job_run_id for each in run.run_events.all() if (each.old, each.new) == ("", S.SKIPPED)
    }
    skipped = [row for row in rows if row.state == S.SKIPPED]
    if skipped and run.state == BeltRunState.SUCCEEDED:
        yield f"I14 {run} succeeded though {skipped[0]} was skipped."
    has_error = any(row.state == S.ERRORED for row in rows)
    for row in skipped:
        has_cause = has_error if row.id in refused else bool(_bad_causes(row, by_name))
        if not has_cause:
            yield f"I14 {row} was skipped though nothing that it needs went wrong."


def _bad_causes(row: JobRun, by_name: dict[str, JobRun]) -> set[str]:
    """Return what a job needs, through skipped jobs, and that failed, errored or was cancelled."""
    found: set[str] = set()
    left, seen = list(row.needs), set[str]()
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        state = by_name[name].state
        if state == S.SKIPPED:
            left += by_name[name].needs
        elif state in (S.FAILED, S.ERRORED, S.CANCELLED):
            found.add(name)
    return found


def _forgotten(run: BeltRun, rows: list[JobRun]) -> Iterator[str]:
    """No job waits that could go on, unless a row of the outbox will look at it."""
    waiting = [row for row in rows if row.state == S.WAITING]
    if not waiting:
        return
    supplies = supplies_of([row.id for row in waiting])
    jobs = [
        WaitingJob(row.name, tuple(row.needs), tuple(supplies.get(row.id, ()))) for row in waiting
    ]
    states = {row.name: JobRunState(row.state) for row in rows if row.state != S.WAITING}
    able = [each.name for each in decide(jobs, states) if each.state != S.WAITING]
    told = OutboxRow.objects.filter(kind="release", payload__belt_run=str(run.id))
    if able and not told.exists():
        yield f"I1 Jobs {', '.join(able)} of {run} wait for nothing and were forgotten."


# --- Attempts -------------------------------------------------------------------------------------
def _wrong_attempts(row: JobRun, attempts: list[Attempt]) -> Iterator[str]:
    numbers = [each.number for each in attempts]
    if numbers != list(range(1, row.last_attempt + 1)):
        yield f"I13 {row} has attempts {numbers} and counts {row.last_attempt}."
    alive = [each for each in attempts if each.state in _ALIVE]
    if len(alive) > 1:
        yield f"I2 {row} has {len(alive)} living attempts."
    if bool(alive) != (row.state in CLAIMED):
        yield f"I12 {row} is {row.state} with {len(alive)} living attempts."
    if alive and (alive[0].state != row.state or alive[0].number != row.last_attempt):
        yield f"I12 {row} is {row.state} and attempt {alive[0].number} is {alive[0].state}."
    yield from _wrong_order(row, attempts)


def _wrong_order(row: JobRun, attempts: list[Attempt]) -> Iterator[str]:
    for former, later in pairwise(attempts):
        if former.finished_at is None or former.finished_at > later.claimed_at:
            yield f"I3 {row}: attempt {later.number} began before {former.number} had ended."
    for each in attempts:
        if bool(each.active_key) != (each.state in _ALIVE) or each.state not in ATTEMPT_MOVES:
            yield f"I12 {each} is {each.state} with key {each.active_key}."


def _wrong_tries(row: JobRun, attempts: list[Attempt], job: JobSpec) -> Iterator[str]:
    """No more attempts began than the author allows; the last one made the job what it is."""
    begun = [each for each in attempts if each.started_at is not None]
    if len(begun) > job.retry.max + 1:
        yield f"I4 {row} began {len(begun)} times and may {job.retry.max + 1} times."
    succeeded = [each for each in attempts if each.state == "succeeded"]
    if row.state == S.SUCCEEDED and row.reason != Reason.REUSED:
        if [each.number for each in succeeded] != [row.last_attempt]:
            yield f"I6 {row} succeeded and its attempts are {[each.state for each in attempts]}."
    elif succeeded:
        yield f"I6 {row} is {row.state} though an attempt succeeded."
    if row.state == S.SUCCEEDED and row.reason == Reason.REUSED and attempts:
        yield f"I6 {row} was kept and has attempts."
    if row.state == S.CANCELLED and row.cancel_requested_at is None:
        yield f"I6 {row} is cancelled and nobody asked for it."


def _wrong_values(
    run: BeltRun, row: JobRun, attempts: list[Attempt], job: JobSpec
) -> Iterator[str]:
    """Outputs come with success, all of them; a job was queued with all that it consumes."""
    outputs = list(row.outputs.all())
    declared = sorted(each.name for each in job.outputs)
    expected = declared if row.state == S.SUCCEEDED and row.reason != Reason.REUSED else []
    if sorted(each.name for each in outputs) != expected:
        yield f"I6 {row} is {row.state} with outputs {[each.name for each in outputs]}."
    if outputs and {each.attempt_id for each in outputs} != {attempts[-1].id}:
        yield f"I6 {row} has outputs that its last attempt did not hand on."
    consumed = list(row.consumed.all())
    queued = any(
        each.job_run_id == row.id and each.new == S.QUEUED for each in run.run_events.all()
    )
    wanted = set(job_references(job)) if queued else set()
    if {each.variable for each in consumed} != wanted:
        yield f"I6 {row} received {[each.reference for each in consumed]}."
    for each in consumed:
        if each.output is not None and each.output.value != each.value:
            yield f"I6 {row} received another value of {each.reference} than was handed on."


def _wrong_log(attempt: Attempt) -> Iterator[str]:
    """Pieces follow one another without a gap; the digest of an attempt's end is theirs."""
    offset, digest = 0, hashlib.sha256()
    for number, piece in enumerate(read_log(attempt, limit=1_000_000)):
        if (piece.sequence, piece.offset) != (number, offset):
            yield f"I7 {attempt}: piece {piece.sequence} is at {piece.offset}, not at {offset}."
        offset += len(piece.data)
        digest.update(piece.data)
    if attempt.log_sha256 and (offset, digest.hexdigest()) != (
        attempt.log_bytes,
        attempt.log_sha256,
    ):
        yield f"I7 {attempt}: {offset} bytes of log are there and {attempt.log_bytes} were told."


# --- Edges ----------------------------------------------------------------------------------------
def _wrong_edges(run: BeltRun, rows: list[JobRun]) -> Iterator[str]:
    states = {row.name: row.state for row in rows}
    for edge in run.edges.all():
        due = _is_due(edge, states, run.state)
        if edge.fired_at is not None and not due:
            yield f"I8 {edge} fired though its moment has not come."
        is_open = edge.fired_at is None and edge.closed_at is None
        if is_open and (due or run.state in BELT_FINISHED):
            yield f"I8 {edge} was forgotten."
        yield from _wrong_start(edge, run)
    if run.upstream_id and not Edge.objects.filter(
        upstream=run.upstream_id, fired_at__isnull=False
    ):
        yield f"I8 {run} began after {run.upstream} though no edge of that fired."


def _is_due(edge: Edge, states: dict[str, str], state: str) -> bool:
    after = [states.get(name) for name in edge.after_jobs]
    if after and all(each == S.SUCCEEDED for each in after):
        return True
    return state in BELT_FINISHED and ENDS[BeltRunState(state)] in edge.on


def _wrong_start(edge: Edge, run: BeltRun) -> Iterator[str]:
    pair = (edge.product_name, edge.belt_name)
    downstream = [
        each
        for each in run.downstream_runs.all()
        if (each.belt.product.name, each.belt.name) == pair
    ]
    count = len(downstream)
    if count > 1 or (count and edge.fired_at is None):
        yield f"I8 {edge} has started {count} runs."
    if edge.started_id and [each.id for each in downstream] != [edge.started_id]:
        yield f"I8 {edge} knows of another run than it started."


# --- The end --------------------------------------------------------------------------------------
def _left_over() -> Iterator[str]:
    for run in BeltRun.objects.unfinished().select_related("belt__product"):
        states = dict(run.job_runs.values_list("name", "state"))
        yield f"I1 {run} is {run.state} with {states}."
    for edge in Edge.objects.filter(fired_at__isnull=False, started=None, closed_at=None):
        yield f"I8 {edge} fired and started nothing."
    for row in OutboxRow.objects.all():
        yield f"I11 {row} is left in the outbox: {row.error}"
