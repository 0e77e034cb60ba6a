"""A short table of how the jobs of belt runs ended and what they handed on."""

from __future__ import annotations

from collections.abc import Sequence

from belts.spec.names import visible
from runs.chains import chain_of
from runs.models import BeltRun, Edge, JobRun, Output

_LONGEST_VALUE = 60
_INDENT = "  "


def report_of(run: BeltRun, *, chain: bool) -> list[str]:
    """Return the table as lines, with ``chain`` for all belt runs that it has led to as well."""
    runs = [link.run for link in chain_of(run, BeltRun.objects.all())] if chain else [run]
    lines: list[str] = []
    for each in runs:
        lines.append(f"{each} {each.state}")
        lines += _rows(list(each.job_runs.order_by("position").prefetch_related("outputs")))
        lines += _not_started(each) if chain else []
    return lines


def _rows(jobs: Sequence[JobRun]) -> list[str]:
    names = max((len(job.name) for job in jobs), default=0)
    states = max((len(job.state) for job in jobs), default=0)
    return [
        f"{_INDENT}{job.name:{names}}  {job.state:{states}}  {_outputs(job)}".rstrip()
        for job in jobs
    ]


def _outputs(job: JobRun) -> str:
    ordered = sorted(job.outputs.all(), key=lambda each: each.name)
    return "  ".join(map(_output, ordered))


def _output(output: Output) -> str:
    value = visible(output.value[:_LONGEST_VALUE])
    rest = len(output.value) - _LONGEST_VALUE
    return f"{output.name}={value}" + (f"… ({rest} more)" if rest > 0 else "")


def _not_started(run: BeltRun) -> list[str]:
    closed = Edge.objects.filter(upstream=run, started__isnull=True).exclude(note="")
    return [
        f"{_INDENT}{edge.product_name}.{edge.belt_name} was not started: {visible(edge.note)}"
        for edge in closed
    ]
