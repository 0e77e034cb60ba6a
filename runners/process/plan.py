"""What a runner is, decided once before its first child is forked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class SlotPlace:
    """Where a slot's jobs run: ``uid`` is None where they run as the runner's own user."""

    number: int
    uid: int | None


@dataclass(frozen=True, slots=True)
class RunnerPlan:
    """The facts of one start of a runner.

    ``previous_boot`` is the start before this one if it is known to be dead: it ran on this
    machine and held the lock that this one holds now. ``times`` are seconds by name, see
    ``settings.CONVEYOR_TIMES``.
    """

    name: str
    host: str
    boot_id: UUID
    previous_boot: UUID | None
    queues: tuple[str, ...]
    slots: tuple[SlotPlace, ...]
    isolation: str
    isolation_report: tuple[Mapping[str, Any], ...]
    work_dir: Path
    drain_limit_s: float
    times: Mapping[str, float]
