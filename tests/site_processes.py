"""The processes of a site in a folder: ``manage.py`` commands, started and ended together."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.own_database import REPOSITORY


class SiteProcesses:
    """Starts commands in ``environment``, logs each to ``folder``, and ends them with ``close``."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = dict(environment)
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, *, port: int, runner: tuple[str, ...] = ()) -> None:
        """Start an orchestrator, and a runner with two slots and ``runner`` as more options."""
        isolation = ("--isolation", "uid") if os.geteuid() == 0 else ()
        self._start("orchestrator", "--port", str(port))
        self._start("runner", "--slots", "2", *runner, *isolation)

    def _start(self, *arguments: str) -> None:
        with (self._folder / f"{arguments[0]}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "manage.py", *arguments],
                cwd=REPOSITORY,
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)

    def close(self) -> None:
        """End all that was started; jobs that run end with their runner."""
        for process in reversed(self._processes):
            process.terminate()
        for process in reversed(self._processes):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
