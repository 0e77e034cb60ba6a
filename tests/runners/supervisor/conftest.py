"""The labs of the executor's tests serve the supervisor's too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runners.executor.zygote import ZygoteProcess
from tests.runners.executor.conftest import lab, lab_of_each_level, work_dir, zygote

__all__ = ["lab", "lab_of_each_level", "own_zygote", "work_dir", "zygote"]


@pytest.fixture
def own_zygote(tmp_path: Path) -> Iterator[ZygoteProcess]:
    """Give a zygote whose supervisors are the test's alone."""
    with ZygoteProcess.start(tmp_path / "zygote") as process:
        yield process
