"""The page of a job run and its button."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from products.models import Product
from products.pages import Page, PageAction, found, may_operate
from runs.cancel import cancel_job_run
from runs.log_display import LogDisplay, Piece
from runs.logs import read_log
from runs.models import Attempt, Consumption, JobRun, LogChunk
from runs.queue_warnings import UnservedQueues, queue_warning
from runs.release import job_of
from runs.sentences import instead_of_log

#: Maximum size of the part of a log on the page, from its end. A link leads to all of it.
TAIL_BYTES = 128 * 1024
_TAIL_CHUNKS = 400
_SHOWN_USES = 50


class JobRunPage(Page):
    """A job run: its state and reason, its values with their origin, and its log."""

    template_name = "runs/job_run_detail.html"
    unserved_queues: UnservedQueues | None = None

    def get_context_data(self, **path: Any) -> dict[str, Any]:
        """Return what the page shows."""
        visible = JobRun.objects.visible_to(self.request.user)
        job_run = found(
            visible.select_related(
                "belt_run__belt__product", "belt_run__definition", "reused_from__belt_run"
            ).defer("belt_run__definition__document"),
            "job run",
            pk=path["pk"],
        )
        attempts = list(job_run.attempts.order_by("number"))
        attempt = _chosen(attempts, self.request.GET.get("attempt", ""))
        start, is_cut = tail_of(attempt)
        product = job_run.belt_run.belt.product
        warning = queue_warning(job_run, self.unserved_queues)
        return super().get_context_data(
            job_run=job_run,
            attempts=attempts,
            attempt=attempt,
            log=shown_log(attempt, after=start) if attempt else [],
            log_after=start,
            log_is_cut=is_cut,
            is_live=not job_run.is_finished and attempt is (attempts[-1] if attempts else None),
            instead_of_log="" if attempt else instead_of_log(job_run, warning),
            values_in=job_run.consumed.select_related("output__job_run__belt_run__belt__product"),
            values_out=job_run.handed_on,
            suppliers=job_run.suppliers.select_related("belt_run"),
            uses=_uses(job_run, visible),
            events=job_run.run_events.order_by("id")[:200],
            warning=warning,
            job=job_of(job_run.belt_run, job_run.name),
            may_operate=may_operate(self.request, product),
            **path,
        )


def _chosen(attempts: list[Attempt], number: str) -> Attempt | None:
    chosen = [each for each in attempts if str(each.number) == number]
    return chosen[0] if chosen else (attempts[-1] if attempts else None)


def _uses(job_run: JobRun, visible: Any) -> list[Consumption]:
    """Return the visible job runs that received outputs of the job run."""
    uses = Consumption.objects.filter(
        output__job_run=job_run, consumer__in=visible.values("pk")
    ).select_related("consumer__belt_run__belt__product", "output")
    return list(uses.order_by("-id")[:_SHOWN_USES])


def tail_of(attempt: Attempt | None) -> tuple[int, bool]:
    """Return the sequence after which the end of a log begins, and whether that cuts it."""
    if attempt is None:
        return -1, False
    size = 0
    newest = LogChunk.objects.filter(attempt=attempt).order_by("-sequence")
    for sequence, bytes_ in newest.values_list("sequence", "size")[:_TAIL_CHUNKS]:
        if size and size + bytes_ > TAIL_BYTES:
            return sequence, True
        size += bytes_
        first = sequence
    return (first - 1, first > 0) if size else (-1, False)


def shown_log(attempt: Attempt, *, after: int) -> list[tuple[str, list[Piece]]]:
    """Return the log from after a sequence on as (stream, pieces), neighbours joined."""
    displays: dict[str, LogDisplay] = {}
    shown: list[tuple[str, list[Piece]]] = []
    for piece in read_log(attempt, after=after, limit=_TAIL_CHUNKS):
        pieces = displays.setdefault(piece.stream, LogDisplay()).feed(piece.data)
        if shown and shown[-1][0] == piece.stream:
            shown[-1][1].extend(pieces)
        else:
            shown.append((piece.stream, pieces))
    shown.extend((stream, display.finish()) for stream, display in displays.items())
    return shown


class CancelJobRun(PageAction):
    """Cancels a job run."""

    done = "The job run is being cancelled."

    def subject(self, **path: Any) -> tuple[JobRun, Product]:
        """Return the job run that the path names."""
        visible = JobRun.objects.visible_to(self.request.user)
        pk: UUID = path["pk"]
        job_run = found(visible.select_related("belt_run__belt__product"), "job run", pk=pk)
        return job_run, job_run.belt_run.belt.product

    def act(self, row: JobRun) -> JobRun:
        """Request the cancellation."""
        cancel_job_run(row, by=self.request.user.get_username())
        return row
