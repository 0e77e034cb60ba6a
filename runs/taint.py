"""Marking runs as tainted: a run is tainted when code or a value of a fork takes part in it.

A run is judged when it is created (its event, its upstream run, its suppliers) and again in each
transaction that copies values into one of its jobs. Taint never goes away. What a run did before
it was marked stays as it was: no tainted value was in it then. So a run that has ended is never
marked, and a job that was claimed before keeps what it was given.
"""

from __future__ import annotations

import logging
from uuid import UUID

from django.db.models import F

from runs.models import BeltRun

logger = logging.getLogger(__name__)


def taint(belt_run_id: UUID) -> None:
    """Mark a belt run and the unfinished runs downstream of it, within the open transaction.

    The caller holds the row of the belt run and copies the tainted value in this transaction, so
    that no claim comes between the two: a claim waits for the row and then reads the mark.

    The rows of the downstream runs are locked here as well. That makes no deadlock: each run has
    one upstream run, and transactions that lock rows of several unfinished runs do it from an
    upstream run to its downstream runs. (The removal of a run locks its downstream runs first, but
    it removes only runs that have ended, which are never locked here.) A downstream run that is
    created meanwhile locks the row of its upstream run to inherit the mark, see
    ``inherited_taint``: it is found here, or it finds the mark.
    """
    level = [belt_run_id]
    while level:
        rows = BeltRun.objects.unfinished().filter(id__in=level, tainted=False)
        # Who watches the page of the run is shown that it changed, as with every other move.
        marked = rows.update(tainted=True, moves=F("moves") + 1)
        if not marked:
            # They have ended, or were marked before together with what follows from them.
            return
        logger.info("%d belt runs were marked as tainted, the first: %s", marked, level[0])
        children = BeltRun.objects.unfinished().filter(
            upstream_id__in=level, upstream__tainted=True, tainted=False
        )
        level = list(children.order_by("id").values_list("id", flat=True))


def inherited_taint(upstream_id: UUID) -> bool:
    """Return whether a belt run is tainted, and lock its row until the transaction ends.

    For a transaction that creates a downstream run of it. It holds no other belt run's row.
    """
    rows = BeltRun.objects.filter(id=upstream_id).select_for_update(no_key=True).order_by()
    return bool(rows.values_list("tainted", flat=True).first())
