"""The labs of the executor's tests serve the supervisor's too."""

from __future__ import annotations

from tests.runners.executor.conftest import lab, lab_of_each_level, work_dir, zygote

__all__ = ["lab", "lab_of_each_level", "work_dir", "zygote"]
