"""What may not happen from one moment to the next, whatever the step between them was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from uuid import UUID

from runs.states import FINISHED
from tests.model.present import Present


def nothing_that_ended_moved(before: Present, after: Present) -> None:
    """Final states are final, and their rows are still there."""
    ended = {key: state for key, state in before.states.items() if state in FINISHED}
    states = after.states
    assert {key: states.get(key) for key in ended} == ended


def watchers_can_tell(before: Present, after: Present) -> None:
    """A belt run in which something moved has counted it; a start makes one more job running."""
    for run_id, row in before.runs.items():
        moved = after.events[run_id] > before.events[run_id]
        moves = after.runs[run_id].moves
        assert moves >= row.moves
        told = (moves, after.running(run_id)) != (row.moves, before.running(run_id))
        assert told or not moved, f"{row} tells of nothing."


def attempts_follow_one_another(before: Present, after: Present, most: Mapping[str, int]) -> None:
    """One of a job run lives; none starts too often, and none after its cancel was asked for.

    ``most`` says how often jobs may start, by name; those that are not in it start once.
    """
    alive, started = Counter[UUID](), Counter[UUID]()
    for row in after.attempts.values():
        alive[row.job_run_id] += row.is_alive
        started[row.job_run_id] += row.started_at is not None
        former, job = before.attempts.get(row.id), before.jobs.get(row.job_run_id)
        if row.started_at is not None and (former is None or former.started_at is None):
            assert job is None or not job.is_cancelled, f"{row} started after its cancel."
    for row_id, count in alive.items():
        assert count <= 1, after.jobs[row_id]
    for row_id, count in started.items():
        assert count <= most.get(after.jobs[row_id].name, 1), after.jobs[row_id]
