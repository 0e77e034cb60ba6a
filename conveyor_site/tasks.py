"""Celery tasks of orchestrators; their results are kept for operators to see."""

from __future__ import annotations

from uuid import UUID

from conveyor_site.deliver import deliver as deliver_row
from conveyor_site.receivers import DELIVER
from runners.celery_app import app


@app.task(name=DELIVER, ignore_result=False)
def deliver(row_id: str) -> bool:
    """Deliver an outbox row at once; return whether that is done. Raises ValueError for no id."""
    return deliver_row(UUID(row_id))
