"""Sweeps that end or repeat what other processes left: lost attempts, cancels, limits, hints.

Each sweep handles at most ``limit`` rows and returns their number. Any number of processes may run
it together. All times are the database's. A row that fails does not stop the others: ``SweepError``
is raised at the end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from products.configuration import current
from products.models import OutboxRow
from products.outbox import Consequence, write_outbox
from runs.errors import SweepError
from runs.finish import AttemptEnd, cancelled_end, end_attempt_by_server, lose_attempt
from runs.models import Attempt, BeltRun, JobRun, Supplier
from runs.release import follow_up, read_run, release_belt_run
from runs.states import CLAIMED, FINISHED, AttemptState, JobRunState, Reason
from runs.transitions import JobKey, Why, moving

logger = logging.getLogger(__name__)

#: Maximum number of rows without effect that one sweep skips.
_MOST_IDLE = 10_000
#: Maximum number of the oldest job runs of a queue that get another hint in one sweep.
_HINTS_A_QUEUE = 32


def _sweep(rows: QuerySet[Any, Any], limit: int, deal: Callable[..., bool]) -> int:
    """Have ``deal`` called with rows, whose first column is their id, until it did ``limit``.

    It returns whether it did anything. The first rows come first, and those with which nothing was
    done hide none that come after them.
    """
    done, idle, failures = 0, list[Any](), list[Exception]()
    while done < limit and len(idle) < _MOST_IDLE:
        wanted = limit - done
        found = list(rows.exclude(pk__in=idle)[:wanted])
        for row in found:
            try:
                did = deal(*row)
            except (OperationalError, InterfaceError):
                raise
            except Exception as error:
                # An error of one row must not stop the other rows.
                logger.exception("The row %s was not settled and is tried again.", row)
                failures.append(error)
                did = False
            done += did
            idle += [] if did else [row[0]]
        if len(found) < wanted:
            break
    if failures:
        raise SweepError(failures)
    return done


def lose_expired_attempts(limit: int = 200) -> int:
    """End attempts whose lease has run out for longer than the grace: their runner is lost."""
    grace = timedelta(seconds=settings.CONVEYOR_TIMES["lost_grace"])
    expired = Attempt.objects.filter(active_key__isnull=False, lease_until__lt=Now() - grace)

    lease = timedelta(seconds=settings.CONVEYOR_TIMES["lease"])

    def lose(attempt_id: UUID, name: str, lease_until: datetime) -> bool:
        heard = f"{lease_until - lease:%Y-%m-%d %H:%M:%S} UTC"
        message = f"The runner {name} was lost: its lease was not renewed after {heard}."
        return lose_attempt(attempt_id, message)

    rows = expired.order_by("lease_until").values_list("id", "runner_name", "lease_until")
    return _sweep(rows, limit, lose)


def end_overdue_attempts(limit: int = 200) -> int:
    """End attempts that run past their deadline, which their runner should have enforced."""
    overdue = Attempt.objects.filter(state=AttemptState.RUNNING, deadline_at__lt=Now())
    end = AttemptEnd(
        AttemptState.FAILED,
        Reason.TIMED_OUT,
        "The job ran longer than its timeout, and its runner did not end it.",
    )
    rows = overdue.order_by("deadline_at").values_list("id")
    return _sweep(rows, limit, lambda id_: end_attempt_by_server(id_, end))


def force_cancels(limit: int = 200) -> int:
    """End attempts whose runner did not answer a cancel in time."""
    patience = timedelta(seconds=settings.CONVEYOR_TIMES["cancel_force"])
    deaf = Attempt.objects.filter(
        active_key__isnull=False, job_run__cancel_requested_at__lt=Now() - patience
    )
    rows = deaf.order_by("id").values_list("id", "job_run__cancel_requested_by")
    return _sweep(rows, limit, lambda id_, by: end_attempt_by_server(id_, cancelled_end(by)))


def end_unserved_job_runs(limit: int = 200) -> int:
    """End job runs that no runner claimed within the site's limit."""
    limit_s = current().queue_limit_s
    waiting = JobRun.objects.filter(
        state=JobRunState.QUEUED, queued_at__lt=Now() - timedelta(seconds=limit_s)
    ).filter(available_at__lt=Now() - timedelta(seconds=limit_s))
    rows = waiting.order_by("queued_at").values_list("id", "name", "queue", "belt_run_id")
    return _sweep(rows, limit, lambda *facts: _end_unserved(JobKey(*facts[:3]), facts[3], limit_s))


def _end_unserved(key: JobKey, belt_run_id: UUID, limit_s: int) -> bool:
    sentence = (
        f"No runner took the job from queue {key.queue} within {limit_s} s. Start a runner with: "
        f"manage.py runner --queues {key.queue}"
    )
    with moving(belt_run_id) as moves:
        why = Why(Reason.NO_RUNNER, sentence)
        # It may have been claimed and queued once more since it was read.
        guard = {"available_at__lt": Now() - timedelta(seconds=limit_s)}
        if not moves.job(key, JobRunState.QUEUED, JobRunState.ERRORED, why, guard=guard):
            return False
        follow_up(moves, read_run(belt_run_id))
    return True


def settle_stragglers(limit: int = 200) -> int:
    """Release unfinished belt runs again in which nothing happens.

    No job run of them is claimed or queued, and none waits for an unfinished run.
    """
    busy = JobRun.objects.filter(state__in=[JobRunState.QUEUED, *CLAIMED])
    still = BeltRun.objects.unfinished().exclude(id__in=busy.values("belt_run_id"))
    still = still.filter(~Exists(_unfinished_suppliers()))
    return _sweep(still.order_by("id").values_list("id"), limit, release_belt_run)


def _unfinished_suppliers() -> QuerySet[Supplier]:
    """Return what the waiting jobs of an outer belt run rightly wait for."""
    ended = JobRun.objects.filter(
        belt_run=OuterRef("belt_run"), name=OuterRef("job_name"), state__in=FINISHED
    )
    waiting = Supplier.objects.filter(
        consumer__belt_run=OuterRef("pk"), consumer__state=JobRunState.WAITING
    )
    unfinished = waiting.filter(belt_run__in=BeltRun.objects.unfinished())
    return unfinished.filter(~Exists(ended))


def write_hints_again(limit: int = 500) -> int:
    """Announce job runs again that have been queued for a while: a hint may have been lost."""
    every = timedelta(seconds=settings.CONVEYOR_TIMES["hint_again"])
    due = Q(hinted_at__isnull=True, queued_at__lt=Now() - every) | Q(hinted_at__lt=Now() - every)
    queued = JobRun.objects.filter(due, state=JobRunState.QUEUED, available_at__lte=Now())
    queues = list(queued.order_by().values_list("queue", flat=True).distinct())
    written = 0
    for queue in queues:
        oldest = queued.filter(queue=queue).order_by("available_at", "id")
        rows = list(oldest.values_list("id", "last_attempt")[: min(_HINTS_A_QUEUE, limit)])
        _hint_again(queue, rows)
        written += len(rows)
    return written


def _hint_again(queue: str, rows: Iterable[tuple[UUID, int]]) -> None:
    wanted = list(rows)
    for id_, _ in wanted:
        # One at a time: who held some while waiting for others could wait in a circle.
        JobRun.objects.filter(id=id_, state=JobRunState.QUEUED).update(hinted_at=Now())
    write_outbox(
        Consequence(
            OutboxRow.Kind.HINT,
            key=f"hint:{id_}:{last + 1}",
            payload={"job_run": str(id_), "queue": queue},
        )
        for id_, last in wanted
    )
