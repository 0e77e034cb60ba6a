"""The labs of the executor's tests serve the supervisor's too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runners.executor.supervisors import Supervisors
from runners.executor.zygote import ZygoteProcess
from runners.supervisor.processes import children_of
from tests.runners.executor.attempts import wait_until
from tests.runners.executor.conftest import lab, lab_of_each_level, work_dir, zygote

__all__ = ["lab", "lab_of_each_level", "own_zygote", "work_dir", "zygote"]


@pytest.fixture
def own_zygote(tmp_path: Path) -> Iterator[ZygoteProcess]:
    """Give a zygote that is ready, and whose supervisors are the test's alone."""
    with ZygoteProcess.start(tmp_path / "zygote") as process:
        with Supervisors(process.client()) as supervisors:
            supervisors.prepare()
            wait_until(lambda: children_of(process.pid), "the zygote's readiness")
        wait_until(lambda: not children_of(process.pid), "the end of its first supervisor")
        yield process
