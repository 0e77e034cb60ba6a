"""Logs, values and edges."""

from __future__ import annotations

import zlib
from typing import Any

from django.utils import timezone

from belts.models import Belt
from runs.models import (
    Attempt,
    BeltRun,
    Consumption,
    Edge,
    JobRun,
    LogChunk,
    Output,
    Supplier,
)
from tests.builders.names import number


def a_log(attempt: Attempt, *pieces: str | bytes, stream: str = "stdout") -> list[LogChunk]:
    """Append pieces to an attempt's log, each as a chunk; return the chunks."""
    last = LogChunk.objects.filter(attempt=attempt).order_by("-sequence").first()
    sequence = last.sequence + 1 if last else 0
    offset = last.offset + last.size if last else 0
    chunks = []
    for piece in pieces:
        data = piece.encode() if isinstance(piece, str) else piece
        chunks.append(
            LogChunk.objects.create(
                attempt=attempt,
                sequence=sequence,
                stream=stream,
                offset=offset,
                size=len(data),
                compressed=len(data) > 1000,
                data=zlib.compress(data) if len(data) > 1000 else data,
            )
        )
        sequence, offset = sequence + 1, offset + len(data)
    return chunks


def an_output(job_run: JobRun, name: str = "VERSION", value: str = "1.0", **fields: Any) -> Output:
    """Return a value that a job run handed on."""
    return Output.objects.create(job_run=job_run, name=name, value=value, **fields)


def a_consumption(consumer: JobRun, output: Output, **fields: Any) -> Consumption:
    """Return the row that says that ``consumer`` received ``output``."""
    producer = output.job_run
    belt = producer.belt_run.belt
    given = {
        "reference": f"{belt.product.name}.{belt.name}.{producer.name}.{output.name}",
        "variable": f"CONVEYOR_IN_{number()}",
        "supplier_label": f"{producer.belt_run}: {producer.name}",
        "value": output.value,
        **fields,
    }
    return Consumption.objects.create(consumer=consumer, output=output, **given)


def a_supplier(consumer: JobRun, belt_run: BeltRun, **fields: Any) -> Supplier:
    """Return the row that says which run supplies a job run."""
    given = {
        "product_name": belt_run.belt.product.name,
        "belt_name": belt_run.belt.name,
        "how": Supplier.How.CHAIN,
        **fields,
    }
    return Supplier.objects.create(consumer=consumer, belt_run=belt_run, **given)


def an_edge(
    upstream: BeltRun, downstream: Belt, *, started: BeltRun | None = None, **fields: Any
) -> Edge:
    """Return an edge from a run to a belt; fired when it has started a run."""
    given: dict[str, Any] = {
        "product_name": downstream.product.name,
        "belt_name": downstream.name,
        "declared": f"downstreams of {upstream.belt}",
        "fired_at": timezone.now() if started else None,
        **fields,
    }
    return Edge.objects.create(upstream=upstream, started=started, **given)
