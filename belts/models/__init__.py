"""Models of the belts app."""

from __future__ import annotations

from belts.models.belt import Belt, Job
from belts.models.definition import CommitFile, Definition
from belts.models.trigger import Trigger

__all__ = ["Belt", "CommitFile", "Definition", "Job", "Trigger"]
