"""A chain of belt runs as a tree of text: what ran, what went in, what came out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from uuid import UUID

from belts.spec.names import visible
from runs.chains import ChainLink, chain_of
from runs.models import BeltRun, Consumption, JobRun, Output

_LONGEST_VALUE = 64
_INDENT = "     "


def picture_of(run: BeltRun) -> list[str]:
    """Return the chain of a belt run as lines."""
    links = chain_of(run, BeltRun.objects.all())
    jobs = _jobs_of(links)
    lines: list[str] = []
    for link in links:
        margin = _INDENT * link.depth
        arrow = "└──▶ " if link.depth else ""
        lines.append(f"{margin[len(arrow) :]}{arrow}{link.run}  {link.run.state}")
        lines.extend(f"{margin}{line}" for line in _job_lines(jobs[link.run.id]))
    return lines


def _jobs_of(links: Sequence[ChainLink]) -> dict[UUID, list[JobRun]]:
    found: dict[UUID, list[JobRun]] = defaultdict(list)
    rows = JobRun.objects.filter(belt_run__in=[link.run.id for link in links])
    for row in rows.order_by("position").prefetch_related("consumed", "outputs"):
        found[row.belt_run_id].append(row)
    return found


def _job_lines(job_runs: Sequence[JobRun]) -> Iterator[str]:
    for job_run in job_runs:
        yield f"├── {job_run.name}  {job_run.state}"
        yield from (f"│     in   {_received(each)}" for each in _by_name(job_run))
        yield from (f"│     out  {_handed_on(each)}" for each in job_run.outputs.all())


def _by_name(job_run: JobRun) -> list[Consumption]:
    return sorted(job_run.consumed.all(), key=lambda each: each.reference)


def _received(consumption: Consumption) -> str:
    return f"{consumption.reference} = {_shown(consumption.value)}"


def _handed_on(output: Output) -> str:
    return f"{output.name} = {_shown(output.value)}"


def _shown(value: str) -> str:
    """Return a value in one line that is safe for a terminal, and not the whole of a long one."""
    text = visible(value[:_LONGEST_VALUE])
    return text if len(value) <= _LONGEST_VALUE else f"{text}… ({len(value)} characters)"
