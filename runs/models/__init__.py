"""Models of the runs app, one noun (or one tight family) to a file."""

from __future__ import annotations

from runs.models.attempt import Attempt, LogChunk
from runs.models.belt_run import BeltRun
from runs.models.edge import Edge
from runs.models.job_run import JobRun
from runs.models.run_event import RunEvent
from runs.models.value import Consumption, Output, Supplier

__all__ = [
    "Attempt",
    "BeltRun",
    "Consumption",
    "Edge",
    "JobRun",
    "LogChunk",
    "Output",
    "RunEvent",
    "Supplier",
]
