"""Tasks for runners: only the hint that a job run can be claimed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from runners.celery_app import app
from runners.hints import WAKE
from runners.process.bell import ring


@app.task(name=WAKE, bind=True, ignore_result=True)
def wake(self: Any, job_run_id: str) -> None:
    """Have this runner look for that job run. Raises ValueError for what is no UUID."""
    ring(UUID(job_run_id), str(self.request.delivery_info["routing_key"]))
