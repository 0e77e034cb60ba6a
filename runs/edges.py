"""Edges: the downstream belts that a run will start, and when edges fire or close."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import CharField, QuerySet
from django.db.models.functions import Now

from belts.models import Trigger
from belts.spec.shapes import SUCCESS, BeltSpec, DownstreamSpec
from products.identifiers import uuid7
from products.models import OutboxRow
from products.outbox import Consequence
from products.statements import Given, Select
from runs.models import Edge
from runs.states import BELT_FINISHED, FINISHED, BeltRunState, JobRunState
from runs.transitions import Moves

#: What ``on`` calls the ends of a belt run.
ENDS: Mapping[BeltRunState, str] = {
    BeltRunState.SUCCEEDED: "success",
    BeltRunState.FAILED: "failure",
    BeltRunState.ERRORED: "failure",
    BeltRunState.CANCELLED: "cancelled",
}
_NOT_CONTINUED = "This run was started with “do not continue downstream”."
_OF_PULL_REQUEST = "A run of a pull request does not start downstream belts."


@dataclass(slots=True)
class _Declared:
    """All declarations of one pair of belts."""

    after_jobs: list[str] = field(default_factory=list)
    on: set[str] = field(default_factory=set)
    where: list[str] = field(default_factory=list)


def closing_note(*, continue_downstream: bool, is_of_pull_request: bool) -> str:
    """Return why the edges of a new run are closed from the beginning; empty if they are open."""
    if continue_downstream:
        return ""
    return _OF_PULL_REQUEST if is_of_pull_request else _NOT_CONTINUED


def plan_edges(run_id: UUID, product: str, belt: BeltSpec, *, closed: str) -> list[Edge]:
    """Return the edges of a new run, one a downstream belt, from what both sides declare.

    ``closed`` is why they are closed from the beginning; empty if they are open.
    A job's declaration comes first: it fires earliest. The others are kept as sentences.
    """
    declared: dict[tuple[str, str], _Declared] = {}
    for job in belt.jobs:
        for pair in _pairs(job.downstreams):
            one = declared.setdefault(pair, _Declared())
            one.after_jobs.append(job.name)
            one.where.append(f"downstreams of job {job.name}")
    for downstream in belt.downstreams:
        for pair in _pairs([downstream]):
            one = declared.setdefault(pair, _Declared())
            one.on.update(downstream.on)
            one.where.append(f"downstreams of belt {belt.name}")
    for belts, details, listener in _LISTENERS.rows(product=product, belt=belt.name):
        for name in belts:
            one = declared.setdefault((listener, name), _Declared())
            one.on.update(details.get("on") or SUCCESS)
            one.where.append(f"upstream-build trigger of {listener}")
    edges = [_edge(run_id, pair, one) for pair, one in declared.items()]
    return [_closed(edge, closed) if closed else edge for edge in edges]


def _pairs(downstreams: Iterable[DownstreamSpec]) -> Iterator[tuple[str, str]]:
    for downstream in downstreams:
        for belt in downstream.belts:
            yield downstream.product, belt


def _listeners() -> QuerySet[Any, Any]:
    """Return the query for the triggers that wait for a belt: belts, details, product."""
    triggers: QuerySet[Any, Any] = Trigger.objects.filter(
        kind=Trigger.Kind.UPSTREAM_BUILD,
        upstream_product=Given("product", CharField()),
        upstream_belt=Given("belt", CharField()),
        broken="",
        product__archived_at__isnull=True,
    )
    return triggers.values_list("belts", "details", "product__name")


_LISTENERS = Select(_listeners)


def _edge(run_id: UUID, pair: tuple[str, str], declared: _Declared) -> Edge:
    first, *others = dict.fromkeys(declared.where)
    return Edge(
        id=uuid7(),
        upstream_id=run_id,
        product_name=pair[0],
        belt_name=pair[1],
        after_jobs=sorted(set(declared.after_jobs)),
        on=sorted(declared.on),
        declared=first[:300],
        merged=others,
    )


def repeated_edge(edge: Edge, run_id: UUID, *, closed: str) -> Edge:
    """Return the edge, not inserted yet, that a repeat of its run has; see ``plan_edges``."""
    again = Edge(
        id=uuid7(),
        upstream_id=run_id,
        product_name=edge.product_name,
        belt_name=edge.belt_name,
        after_jobs=edge.after_jobs,
        on=edge.on,
        declared=edge.declared,
        merged=edge.merged,
    )
    return _closed(again, closed) if closed else again


def _closed(edge: Edge, note: str) -> Edge:
    edge.closed_at, edge.note = Now(), note
    return edge


def open_edges(run_id: UUID) -> QuerySet[Edge]:
    """Return the edges of the run that have neither fired nor closed."""
    return Edge.objects.filter(upstream_id=run_id, fired_at__isnull=True, closed_at__isnull=True)


def advance_edges(moves: Moves, jobs: Mapping[str, JobRunState], belt_state: BeltRunState) -> None:
    """Fire the open edges of the run whose moment has come, and close those that never fire.

    An edge is marked as fired together with the row of the outbox that starts the downstream run.
    """
    for edge in open_edges(moves.belt_run_id):
        if _fires(edge, jobs, belt_state):
            _fire(moves, edge)
        elif belt_state in BELT_FINISHED:
            _close(edge, _why_not(edge, jobs, belt_state))


def _fires(edge: Edge, jobs: Mapping[str, JobRunState], belt_state: BeltRunState) -> bool:
    after = [jobs.get(name) for name in edge.after_jobs]
    if after and all(state == JobRunState.SUCCEEDED for state in after):
        return True
    return belt_state in BELT_FINISHED and ENDS[belt_state] in edge.on


def _fire(moves: Moves, edge: Edge) -> None:
    still_open = Edge.objects.filter(id=edge.id, fired_at__isnull=True, closed_at__isnull=True)
    if still_open.update(fired_at=Now()):
        payload = {"edge": str(edge.id)}
        key, name = f"downstream:{edge.id}", edge.product_name
        moves.then(Consequence(OutboxRow.Kind.DOWNSTREAM, key, payload, product_name=name))


def _close(edge: Edge, note: str) -> None:
    Edge.objects.filter(id=edge.id, fired_at__isnull=True, closed_at__isnull=True).update(
        closed_at=Now(), note=note
    )


def _why_not(edge: Edge, jobs: Mapping[str, JobRunState], belt_state: BeltRunState) -> str:
    for name in edge.after_jobs:
        state = jobs.get(name)
        if state in FINISHED and state != JobRunState.SUCCEEDED:
            return f"It was to start after job {name}, which is {state}."
    wanted = " or ".join(edge.on) or "success"
    return f"It was to start after {wanted}, and this run is {belt_state}."
