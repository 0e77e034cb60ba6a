"""Finds finished belt runs with jobs that were skipped although no job that they need failed.

Versions between commit 8ba0bf1 and the fix named in CHANGELOG.md decided jobs whose needs they had
not read. The engine no longer ends a run like this; these rows are older.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from runs.models import BeltRun, JobRun, RunEvent
from runs.states import BELT_FINISHED, JobRunState, Reason

_BAD = (JobRunState.FAILED, JobRunState.ERRORED, JobRunState.CANCELLED)
_BATCH = 200


@dataclass(frozen=True, slots=True)
class WrongSkips:
    """A finished belt run and the names of its wrongly skipped jobs, in the order of the file."""

    run: BeltRun
    jobs: tuple[str, ...]


def wrongly_skipped() -> Iterator[WrongSkips]:
    """Yield the finished belt runs with wrongly skipped jobs, oldest first."""
    skipped = JobRun.objects.filter(state=JobRunState.SKIPPED, reason=Reason.UPSTREAM_FAILED)
    runs = BeltRun.objects.filter(
        state__in=BELT_FINISHED, id__in=skipped.values("belt_run_id")
    ).select_related("belt__product")
    for run in runs.order_by("id").iterator(chunk_size=_BATCH):
        jobs = wrong_skips_of(run)
        if jobs:
            yield WrongSkips(run, jobs)


def wrong_skips_of(run: BeltRun) -> tuple[str, ...]:
    """Return the names of the run's jobs that were skipped without a cause."""
    rows = {row.name: row for row in JobRun.objects.filter(belt_run=run).order_by("position")}
    # A run that was refused as a whole has its skipped jobs from its creation on.
    refused = RunEvent.objects.filter(belt_run=run, old="", new=JobRunState.SKIPPED)
    born = set(refused.values_list("job_run_id", flat=True))
    return tuple(
        name
        for name, row in rows.items()
        if row.state == JobRunState.SKIPPED and row.id not in born and not _has_cause(name, rows)
    )


def _has_cause(name: str, rows: Mapping[str, JobRun]) -> bool:
    """Return whether a need of the job, direct or through skipped jobs, did not succeed."""
    left, seen = list(rows[name].needs), {name}
    while left:
        need = left.pop()
        if need in seen or need not in rows:
            continue
        seen.add(need)
        if rows[need].state in _BAD:
            return True
        if rows[need].state == JobRunState.SKIPPED:
            left += rows[need].needs
    return False
