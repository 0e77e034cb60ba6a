"""What a runner is, decided once before its first child is forked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from runners.executor.room import lack_of
from runners.executor.shapes import Isolation

#: Below the work folder; no attempt has a name that begins with a dot.
ZYGOTE_FOLDER = ".zygote"


@dataclass(frozen=True, slots=True)
class SlotPlace:
    """Where a slot's jobs run: ``uid`` is None where they run as the runner's own user."""

    number: int
    uid: int | None


@dataclass(frozen=True, slots=True)
class RunnerPlan:
    """The facts of one start of a runner.

    No ``queues`` stand for the site's default queue, until the runner is registered.
    ``dead_boots`` are starts before this one that are known to be dead: they ran on this machine
    and held the lock that this one holds now. ``isolation`` is the level with what it
    needs but for the slot's user. ``work_dir`` is this runner's alone; with less than
    ``least_bytes`` or ``least_files`` free there, no job is claimed. ``times`` are seconds by
    name, see ``settings.CONVEYOR_TIMES``.
    """

    name: str
    host: str
    boot_id: UUID
    dead_boots: tuple[UUID, ...]
    queues: tuple[str, ...]
    slots: tuple[SlotPlace, ...]
    isolation: Isolation
    isolation_report: tuple[str, ...]
    work_dir: Path
    job_path: str
    drain_limit_s: float
    times: Mapping[str, float]
    least_bytes: int = 0
    least_files: int = 0

    def lack_of_room(self) -> str:
        """Return what the work folder lacks for another job, or "".

        Raises FileNotFoundError when it, or the socket's folder of the zygote in it, is gone.
        """
        (self.work_dir / ZYGOTE_FOLDER).stat()
        return lack_of(self.work_dir, least_bytes=self.least_bytes, least_files=self.least_files)

    def isolation_of(self, place: SlotPlace) -> Isolation:
        """Return the isolation of a slot's jobs."""
        return dataclasses.replace(self.isolation, uid=place.uid, gid=place.uid)
