"""The facts about a belt run that decide which work follows a move in it."""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Exists, QuerySet, UUIDField

from products.statements import Given, Select
from runs.edges import open_edges
from runs.models import BeltRun, JobRun, Supplier
from runs.states import UNFINISHED, JobRunState


class Look(NamedTuple):
    """Facts about the rows of a belt run.

    ``has_edges``: some edges are still open. ``is_awaited``: jobs of other runs wait for its
    values.
    """

    has_waiting: bool
    has_unfinished: bool
    has_edges: bool
    is_awaited: bool


def look_at(belt_run_id: UUID) -> Look:
    """Return how a belt run stands now."""
    return Look(*map(bool, _LOOK.row(run=belt_run_id)))


def look_columns(belt_run: Any, *, but: Any = None) -> dict[str, Exists]:
    """Return the columns of a ``Look`` for a query, in its order.

    ``but`` is a job run that is left out.
    """
    unfinished = JobRun.objects.filter(belt_run_id=belt_run, state__in=sorted(UNFINISHED))
    if but is not None:
        unfinished = unfinished.exclude(id=but)
    waiting = JobRun.objects.filter(belt_run_id=belt_run, state=JobRunState.WAITING)
    return {
        "has_waiting": Exists(waiting),
        "has_unfinished": Exists(unfinished),
        "has_edges": Exists(open_edges(belt_run)),
        "is_awaited": Exists(waiting_consumers(belt_run)),
    }


def waiting_consumers(belt_run: Any) -> QuerySet[Supplier]:
    """Return the suppliers' rows of jobs that wait for values of the belt run."""
    return Supplier.objects.filter(belt_run_id=belt_run, consumer__state=JobRunState.WAITING)


def _look() -> QuerySet[Any, Any]:
    run: Any = Given("run", UUIDField())
    found: QuerySet[Any, Any] = BeltRun.objects.filter(id=run).order_by()
    return found.values_list(*look_columns(run).values())


_LOOK = Select(_look)
