"""The page of a belt run and its buttons."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from products.models import Product
from products.pages import Page, PageAction, found, may_operate
from runs.cancel import cancel_belt_run
from runs.chains import chain_of, state_of, whole_chain
from runs.models import BeltRun, Consumption, Edge, JobRun, Output, Supplier
from runs.queue_warnings import UnservedQueues, nothing_known, queue_warnings
from runs.rerun import rerun_belt_run
from runs.states import JobRunState


class BeltRunPage(Page):
    """A belt run: its jobs with their values, its downstream belts and its chain."""

    template_name = "runs/belt_run_detail.html"
    unserved_queues: UnservedQueues | None = None

    def get_context_data(self, **path: Any) -> dict[str, Any]:
        """Return what the page shows."""
        visible = BeltRun.objects.visible_to(self.request.user)
        # Read first: a move during the other queries then reaches the page as a change.
        state = state_of(whole_chain(found(visible, "belt run", pk=path["pk"])))
        run = found(
            visible.select_related(
                "belt__product", "event", "started_by", "upstream__belt__product", "rerun_of__belt"
            ),
            "belt run",
            pk=path["pk"],
        )
        jobs = list(run.job_runs.select_related("reused_from__belt_run").order_by("position"))
        _add_values(jobs)
        _add_waits(jobs)
        chain = chain_of(run, visible)
        seen = {link.run.id for link in chain}
        return super().get_context_data(
            run=run,
            jobs=jobs,
            warnings=queue_warnings(jobs, self.unserved_queues or nothing_known),
            upstream=run.upstream if run.upstream_id in seen else None,
            rerun_of=run.rerun_of,
            edges=_edges(run, seen),
            chain=chain,
            rounds=BeltRun.objects.filter(belt=run.belt, number=run.number).order_by("round"),
            version=state.version,
            is_open=state.is_open or not run.is_finished,
            may_operate=may_operate(self.request, run.belt.product),
            can_rerun_failed=run.is_finished
            and any(job.state != JobRunState.SUCCEEDED for job in jobs),
            **path,
        )


def _add_values(jobs: Sequence[JobRun]) -> None:
    """Give each job run ``values_in``, ``values_out`` and ``supplied``: three queries."""
    ids = [job.id for job in jobs]
    producers = {job.id: job.reused_from_id or job.id for job in jobs}
    consumed: dict[UUID, list[Consumption]] = defaultdict(list)
    rows = Consumption.objects.filter(consumer__in=ids).select_related("output")
    for consumption in rows.order_by("id"):
        consumed[consumption.consumer_id].append(consumption)
    produced: dict[UUID, list[Output]] = defaultdict(list)
    for output in Output.objects.filter(job_run__in=producers.values()).order_by("name"):
        produced[output.job_run_id].append(output)
    supplied: dict[UUID, list[Supplier]] = defaultdict(list)
    suppliers = Supplier.objects.filter(consumer__in=ids).select_related("belt_run")
    for supplier in suppliers.order_by("id"):
        supplied[supplier.consumer_id].append(supplier)
    for job in jobs:
        job.values_in = consumed[job.id]  # type: ignore[attr-defined]  # read by the template
        job.values_out = produced[producers[job.id]]  # type: ignore[attr-defined]  # read by the template
        job.supplied = supplied[job.id]  # type: ignore[attr-defined]  # read by the template


def _add_waits(jobs: Sequence[JobRun]) -> None:
    """Give each waiting job run ``waits_for``: the job runs that must succeed first."""
    by_name = {job.name: job for job in jobs}
    for job in jobs:
        waiting = job.state == JobRunState.WAITING
        needed = [by_name[name] for name in job.needs if name in by_name] if waiting else []
        job.waits_for = [each for each in needed if not each.is_finished]  # type: ignore[attr-defined]  # read by the template


def _edges(run: BeltRun, seen: set[UUID]) -> list[Edge]:
    """Return the edges to downstream belts; only visible runs are linked."""
    edges = list(run.edges.select_related("started__belt__product"))
    for edge in edges:
        edge.shown = edge.started_id in seen  # type: ignore[attr-defined]  # read by the template
    return edges


class BeltRunAction(PageAction):
    """A button of the page of a belt run."""

    def subject(self, **path: Any) -> tuple[BeltRun, Product]:
        """Return the belt run that the path names."""
        visible = BeltRun.objects.visible_to(self.request.user).select_related("belt__product")
        run = found(visible, "belt run", pk=path["pk"])
        return run, run.belt.product


class CancelBeltRun(BeltRunAction):
    """Cancels a belt run."""

    done = "The belt run is being cancelled."

    def act(self, row: BeltRun) -> BeltRun:
        """Request the cancellation."""
        cancel_belt_run(row, by=self.request.user.get_username())
        return row


class RerunBeltRun(BeltRunAction):
    """Repeats a belt run: all of it, or what did not succeed."""

    def act(self, row: BeltRun) -> BeltRun:
        """Make the next round."""
        return rerun_belt_run(
            row,
            user=self.request.user,
            only_failed=self.request.POST.get("only") == "failed",
            continue_downstream=False if self.request.POST.get("downstream") == "no" else None,
        )
