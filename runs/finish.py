"""The ends of attempts: outputs, the next state of the job run, and all effects.

One transaction stores the end, hands on the outputs, moves the job run, releases what became ready,
settles the belt run, fires its edges and, for a slot that is free now, claims the next job run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, UUIDField

from belts.spec.shapes import JobSpec, RetrySpec
from products.identifiers import uuid7
from products.statements import Given, Select, columns_of, insert_rows
from runs.attempts import (
    AttemptPlace,
    Claim,
    NextClaim,
    candidates,
    claim_candidate,
    claim_job_run,
    claim_of,
    place_of_attempt,
)
from runs.logs import ChunkToStore, insert_chunks
from runs.looks import Look, look_columns
from runs.models import Attempt, BeltRun, JobRun, Output
from runs.release import follow_up, job_of, run_in_state
from runs.retries import is_replaced, kind_of, retry_after
from runs.states import AttemptState, JobRunState, Reason
from runs.transitions import Moves, Why, moving


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """How an attempt ended; ``outcome`` is succeeded, failed, errored or cancelled.

    ``message`` is a sentence; ``outputs`` are values by name; the figures of the log are those of
    what the job wrote, so that what is stored can be compared.
    """

    outcome: str
    reason: str
    message: str = ""
    exit_code: int | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)
    log_bytes: int | None = None
    log_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    """Whether this call stored the end, and the claim that was wished for, if there was one."""

    stored: bool
    claim: Claim | None = None


def finish_attempt(
    attempt_id: UUID,
    end: AttemptEnd,
    *,
    last_chunks: Sequence[ChunkToStore] = (),
    claim_next: NextClaim | None = None,
) -> Finished:
    """Store the end of an attempt that is alive, with the last pieces of its log, and what follows.

    Nothing is stored for an attempt that has ended already; calling it again after a lost answer
    changes nothing and returns the same claim.
    """
    place = place_of_attempt(attempt_id)
    stored, claim = False, None
    if place is not None:
        with moving(place.belt_run_id) as moves:
            stored = _end(moves, place, attempt_id, end, last_chunks)
            if stored and claim_next is not None:
                claim = _claim_within(moves, claim_next)
    if claim is None and claim_next is not None:
        claim = _claim_after(claim_next, is_again=not stored)
    return Finished(stored, claim)


def _claim_within(moves: Moves, wish: NextClaim) -> Claim | None:
    """Claim in the transaction that is open, if the oldest job run is one of its belt run."""
    for candidate in candidates(wish.runner, wish.queues)[:1]:
        if candidate.belt_run_id == moves.belt_run_id:
            return claim_candidate(moves, candidate, wish.runner, wish.nonce)
    return None


def _claim_after(wish: NextClaim, *, is_again: bool) -> Claim | None:
    claim = claim_of(wish.nonce) if is_again else None
    return claim or claim_job_run(wish.runner, queues=wish.queues, nonce=wish.nonce)


def give_back_attempt(attempt_id: UUID, *, message: str) -> bool:
    """End an attempt that has not started, so that another one replaces it.

    Returns False when it is not one of those any more.
    """
    return _end_here(attempt_id, AttemptEnd("errored", Reason.RUNNER_LOST, message), ("starting",))


def lose_attempt(attempt_id: UUID, message: str) -> bool:
    """End an attempt whose runner cannot end it; return False when it has ended already.

    One that has not started is replaced. One that has started ends its job as errored, unless the
    job's author asked for another attempt after a lost runner.
    """
    return _end_here(attempt_id, AttemptEnd("errored", Reason.RUNNER_LOST, message))


def lose_attempts_of_other_boots(runner_id: UUID, boot_id: UUID) -> int:
    """End what former starts of a runner have left alive; return how many that were."""
    rows = Attempt.objects.filter(runner_id=runner_id, active_key__isnull=False)
    left = rows.exclude(boot_id=boot_id).values_list("id", "runner_name")
    return sum(
        lose_attempt(attempt_id, f"The runner {name} restarted while it had this job.")
        for attempt_id, name in list(left)
    )


def end_attempt_by_server(attempt_id: UUID, end: AttemptEnd) -> bool:
    """End an attempt whose runner did not do it in time; return False when it has ended already."""
    return _end_here(attempt_id, end)


def cancelled_end(by: str) -> AttemptEnd:
    """Return the end of an attempt that ``by`` has cancelled."""
    return AttemptEnd(AttemptState.CANCELLED, Reason.CANCEL_REQUESTED, f"Cancelled by {by}.")


def _end_here(
    attempt_id: UUID, end: AttemptEnd, states: Sequence[str] = ("starting", "running")
) -> bool:
    place = place_of_attempt(attempt_id)
    if place is None:
        return False
    with moving(place.belt_run_id) as moves:
        return _end(moves, place, attempt_id, end, (), states)


# --- One end --------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Present:
    """How an attempt and its job run stand, read while their belt run is held.

    ``look`` is how the belt run stands without this job run.
    """

    run: BeltRun
    job: JobSpec | None
    look: Look
    state: AttemptState
    attempts_made: int
    cancelled_by: str | None

    @property
    def has_started(self) -> bool:
        """Whether something of the user's may have run."""
        return self.state == AttemptState.RUNNING


def _end(
    moves: Moves,
    place: AttemptPlace,
    attempt_id: UUID,
    end: AttemptEnd,
    last_chunks: Sequence[ChunkToStore],
    states: Sequence[str] = ("starting", "running"),
) -> bool:
    found = _store_end(moves, place, attempt_id, end, states)
    if found is None:
        return False
    present, end = found
    if last_chunks:
        insert_chunks(attempt_id, last_chunks)
    if end.outcome == AttemptState.SUCCEEDED:
        _store_outputs(place, attempt_id, end, present.job)
    if _move_job(moves, place, attempt_id, present, end):
        follow_up(moves, present.run, present.look)
    return True


def _store_end(
    moves: Moves, place: AttemptPlace, attempt_id: UUID, end: AttemptEnd, states: Sequence[str]
) -> tuple[_Present, AttemptEnd] | None:
    """Move the attempt to its end; return how it stood and how it ended, None if it cannot end."""
    # Its start does not wait for the belt run, and can come between the look and the move, once.
    for _ in (AttemptState.STARTING, AttemptState.RUNNING):
        present = _read(place, attempt_id)
        if present is None or present.state not in states:
            return None
        checked = _checked(end, present)
        if _move_attempt(moves, attempt_id, present.state, checked):
            return present, checked
    return None


def _move_attempt(moves: Moves, attempt_id: UUID, old: AttemptState, end: AttemptEnd) -> bool:
    figures: dict[str, Any] = {} if end.log_bytes is None else {"log_bytes": end.log_bytes}
    return moves.attempt(
        attempt_id,
        old,
        AttemptState(end.outcome),
        reason=Reason(end.reason),
        message=end.message[:4000],
        exit_code=end.exit_code,
        log_sha256=end.log_sha256,
        **figures,
    )


_PRESENT = Select(
    lambda: (
        Attempt.objects.filter(id=Given("id", UUIDField()))
        .order_by()
        .values_list(
            "state",
            "job_run__attempts_made",
            "job_run__cancel_requested_at",
            "job_run__cancel_requested_by",
            "job_run__belt_run__state",
            "job_run__belt_run__cancel_requested_at",
            "job_run__belt_run__tainted",
            *look_columns(OuterRef("job_run__belt_run_id"), but=OuterRef("job_run_id")).values(),
        )
    )
)


def _read(place: AttemptPlace, attempt_id: UUID) -> _Present | None:
    """Return how they stand, None where the attempt is no longer kept."""
    row = _PRESENT.row(id=attempt_id)
    if row is None:
        return None
    state, made, cancelled_at, by, belt_state, belt_cancelled_at, tainted, *look = row
    run = run_in_state(place.belt_run_id, belt_state, belt_cancelled_at, bool(tainted))
    return _Present(
        run=run,
        job=job_of(run, place.key.name),
        look=Look(*map(bool, look)),
        state=AttemptState(state),
        attempts_made=made,
        cancelled_by=by if cancelled_at is not None else None,
    )


def _checked(end: AttemptEnd, present: _Present) -> AttemptEnd:
    """Return the end; success without a declared output is a failure that names it."""
    declared = [each.name for each in present.job.outputs] if present.job else []
    missing = [name for name in declared if name not in end.outputs]
    if end.outcome != AttemptState.SUCCEEDED or not missing:
        return end
    return AttemptEnd(
        outcome=AttemptState.FAILED,
        reason=Reason.OUTPUT_MISSING,
        message=f"The job succeeded without its declared output {', '.join(missing)}.",
        exit_code=end.exit_code,
        log_bytes=end.log_bytes,
        log_sha256=end.log_sha256,
    )


def _store_outputs(
    place: AttemptPlace, attempt_id: UUID, end: AttemptEnd, job: JobSpec | None
) -> None:
    rows = [
        Output(
            id=uuid7(),
            job_run_id=place.key.id,
            attempt_id=attempt_id,
            name=each.name,
            type=each.type,
            value=end.outputs[each.name],
        )
        for each in (job.outputs if job else ())
    ]
    insert_rows(Output, [columns_of(row) for row in rows])


def _move_job(
    moves: Moves, place: AttemptPlace, attempt_id: UUID, present: _Present, end: AttemptEnd
) -> bool:
    """Move the job run to where the end of its attempt leads; return whether that is final."""
    old = JobRunState(present.state.value)
    outcome, reason = AttemptState(end.outcome), Reason(end.reason)
    unstarted = reason == Reason.RUNNER_LOST and not present.has_started
    if present.cancelled_by is not None and (unstarted or outcome == AttemptState.ERRORED):
        why = Why(Reason.CANCEL_REQUESTED, f"Cancelled by {present.cancelled_by}.")
        return moves.job(place.key, old, JobRunState.CANCELLED, why, attempt_id=attempt_id)
    if unstarted:
        return _replace(moves, place, attempt_id, present, end)
    made = present.attempts_made + 1
    if present.cancelled_by is None and _try_again(moves, place, present, end, made):
        JobRun.objects.filter(id=place.key.id).update(attempts_made=made)
        return False
    why = Why(reason, end.message)
    return moves.job(
        place.key,
        old,
        JobRunState(outcome.value),
        why,
        attempt_id=attempt_id,
        attempts_made=made,
    )


def _replace(
    moves: Moves, place: AttemptPlace, attempt_id: UUID, present: _Present, end: AttemptEnd
) -> bool:
    """Have another attempt made for one that never started; return whether there were too many."""
    old, number = JobRunState(present.state.value), place.number
    if is_replaced(number, present.attempts_made):
        why = Why(Reason.READY, f"Attempt {number} never started: {end.message}")
        moves.queue(place.key, old, why, number=number + 1)
        return False
    unstarted = number - present.attempts_made
    sentence = f"{unstarted} attempts never started, so no more are made. The last: {end.message}"
    why = Why(Reason.RUNNER_LOST, sentence)
    return moves.job(place.key, old, JobRunState.ERRORED, why, attempt_id=attempt_id)


def _try_again(
    moves: Moves, place: AttemptPlace, present: _Present, end: AttemptEnd, made: int
) -> bool:
    rule = present.job.retry if present.job else RetrySpec()
    kind = kind_of(AttemptState(end.outcome), Reason(end.reason))
    retry = retry_after(rule, kind=kind, exit_code=end.exit_code, attempts_made=made)
    if retry is None or present.run.cancel_requested_at is not None:
        return False
    when = f" in {retry.delay_s:g} s" if retry.delay_s else ""
    sentence = f"Attempt {place.number}: {end.message} Trying again{when} ({made} of {rule.max})."
    old = JobRunState(present.state.value)
    return moves.queue(
        place.key,
        old,
        Why(Reason.RETRY, sentence),
        number=place.number + 1,
        delay_s=retry.delay_s,
    )
