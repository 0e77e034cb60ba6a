"""The states of belt runs, job runs and attempts, and the moves between them.

One table; ``runs.transitions`` is the only module that writes a state, and it obeys the table.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import TextChoices

from products.errors import PlatformError


class UnknownStateError(PlatformError):
    """A row has a state that this version does not know, so nothing may be decided from it."""

    code = "run.unknown-state"

    def __init__(self, value: object) -> None:
        super().__init__(
            f"A run has the state {str(value)[:40]!r}, which this version of Conveyor does not "
            "know. A newer version stored it, and only that version may move the run."
        )


class _State(TextChoices):
    """States as rows hold them."""

    @classmethod
    def _missing_(cls, value: object) -> None:
        """Raise UnknownStateError for a state that only another version knows."""
        raise UnknownStateError(value)


class JobRunState(_State):
    """The state of one execution of a job in a belt run."""

    WAITING = "waiting"  # needs or suppliers are unfinished; release or cancel moves it out
    QUEUED = "queued"  # may be claimed; a claim, cancel or the queue limit moves it out
    STARTING = "starting"  # claimed, being prepared; start, finish or the reaper moves it out
    RUNNING = "running"  # the start is committed; finish or the reaper moves it out
    SUCCEEDED = "succeeded"  # commands exited 0 and every declared output is there; final
    FAILED = "failed"  # the user's commands said no, ran out of time or lack an output; final
    ERRORED = "errored"  # the platform could not: runner lost, checkout impossible; final
    CANCELLED = "cancelled"  # a person or a rule asked; final
    SKIPPED = "skipped"  # a job that it needs did not succeed; final


class AttemptState(_State):
    """The state of one try of a job run; its words are those of the job run."""

    STARTING = "starting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ERRORED = "errored"
    CANCELLED = "cancelled"


class BeltRunState(_State):
    """The state of a belt run: a summary of its job runs."""

    PENDING = "pending"  # no job has been claimed yet
    RUNNING = "running"  # some job has been claimed and some job is unfinished
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ERRORED = "errored"
    CANCELLED = "cancelled"


class Reason(TextChoices):
    """Why a job run is in its state; shown beside it."""

    CREATED = "created"
    READY = "ready"
    CLAIMED = "claimed"
    STARTED = "started"
    FINISHED = "finished"
    REUSED = "reused"
    EXIT_STATUS = "exit-status"
    TIMED_OUT = "timed-out"
    OUTPUT_MISSING = "output-missing"
    OUTPUT_INVALID = "output-invalid"
    POST_RUN = "post-run"
    SETUP = "setup"
    NO_SOURCE = "no-source"
    INPUT_MISSING = "input-missing"
    CREDENTIAL_MISSING = "credential-missing"
    UPSTREAM_FAILED = "upstream-failed"
    RUNNER_LOST = "runner-lost"
    NO_RUNNER = "no-runner"
    CANCEL_REQUESTED = "cancel-requested"
    RETRY = "retry"
    INTERNAL = "internal"


S = JobRunState
MOVES: dict[JobRunState, frozenset[JobRunState]] = {
    S.WAITING: frozenset({S.QUEUED, S.SKIPPED, S.CANCELLED, S.ERRORED}),
    S.QUEUED: frozenset({S.STARTING, S.CANCELLED, S.ERRORED}),
    S.STARTING: frozenset({S.RUNNING, S.QUEUED, S.FAILED, S.ERRORED, S.CANCELLED}),
    S.RUNNING: frozenset({S.QUEUED, S.SUCCEEDED, S.FAILED, S.ERRORED, S.CANCELLED}),
    S.SUCCEEDED: frozenset(),
    S.FAILED: frozenset(),
    S.ERRORED: frozenset(),
    S.CANCELLED: frozenset(),
    S.SKIPPED: frozenset(),
}
FINISHED = frozenset(state for state, moves in MOVES.items() if not moves)
UNFINISHED = frozenset(MOVES) - FINISHED
CLAIMED = frozenset({S.STARTING, S.RUNNING})

A = AttemptState
ATTEMPT_MOVES: dict[AttemptState, frozenset[AttemptState]] = {
    A.STARTING: frozenset({A.RUNNING, A.FAILED, A.ERRORED, A.CANCELLED}),
    A.RUNNING: frozenset({A.SUCCEEDED, A.FAILED, A.ERRORED, A.CANCELLED}),
    A.SUCCEEDED: frozenset(),
    A.FAILED: frozenset(),
    A.ERRORED: frozenset(),
    A.CANCELLED: frozenset(),
}

B = BeltRunState
_BELT_ENDS = frozenset({B.SUCCEEDED, B.FAILED, B.ERRORED, B.CANCELLED})
BELT_MOVES: dict[BeltRunState, frozenset[BeltRunState]] = {
    B.PENDING: frozenset({B.RUNNING}) | _BELT_ENDS,
    B.RUNNING: _BELT_ENDS,
    B.SUCCEEDED: frozenset(),
    B.FAILED: frozenset(),
    B.ERRORED: frozenset(),
    B.CANCELLED: frozenset(),
}
BELT_FINISHED = _BELT_ENDS

_WORST_FIRST = (
    (S.ERRORED, B.ERRORED),
    (S.FAILED, B.FAILED),
    (S.CANCELLED, B.CANCELLED),
)


def final_belt_state(job_states: Iterable[JobRunState]) -> BeltRunState:
    """Return the end of a belt run whose job runs have all ended: the worst of theirs.

    A skipped job adds nothing: what made it skipped counts already.
    """
    present = set(job_states)
    for job_state, belt_state in _WORST_FIRST:
        if job_state in present:
            return belt_state
    return B.SUCCEEDED
