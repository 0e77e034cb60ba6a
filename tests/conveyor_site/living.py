"""A site with a real orchestrator, for a test."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

from tests.own_database import REPOSITORY
from tests.waiting import PATIENCE_S, until

_ADDRESS = re.compile(r"Conveyor is at (http://\S+)/")
_direct = build_opener(ProxyHandler({}))


def is_alive(pid: int) -> bool:
    """Return whether the process exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def environment_of(folder: Path, database: Mapping[str, str], **more: str) -> dict[str, str]:
    """Return the environment of a site's processes; times are shorter than in the world."""
    others = {key: text for key, text in os.environ.items() if not key.startswith("CONVEYOR_")}
    return {
        **others,
        "CONVEYOR_WORK_DIR": str(folder / "work"),
        "CONVEYOR_TIME_SCALE": "10",
        **database,
        **more,
    }


def manage(*arguments: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command of ``manage.py`` to its end."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=REPOSITORY,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class LivingOrchestrator:
    """A ``manage.py orchestrator`` on a free port."""

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        *arguments: str,
        before: tuple[str, ...] = (),
    ) -> None:
        self._log = folder / f"orchestrator-{len(list(folder.iterdir()))}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*before, sys.executable, "manage.py", "orchestrator", "--port", "0", *arguments],
                cwd=REPOSITORY,
                env=dict(environment),
                stdout=log,
                stderr=log,
            )

    @property
    def said(self) -> str:
        """What it wrote."""
        return self._log.read_text()

    @property
    def url(self) -> str:
        """Where it serves, without a slash at the end; waits until it has said so."""
        until(lambda: _ADDRESS.search(self.said), f"it tells its address: {self.said}")
        found = _ADDRESS.search(self.said)
        assert found is not None
        return found[1]

    def get(self, path: str) -> tuple[int, str]:
        """Return status and text of the answer; 0 while it does not answer."""
        try:
            with _direct.open(self.url + path, timeout=PATIENCE_S) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except (URLError, OSError):
            return 0, ""

    def ready(self) -> LivingOrchestrator:
        """Wait until it is ready and all its children are there."""
        until(lambda: self.get("/readyz")[0] == 200, "the orchestrator is ready")
        return self

    def children(self) -> dict[str, int]:
        """Return its child processes by the names that ``ps`` shows."""
        listing = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        found = {}
        for pid in listing.read_text().split():
            try:
                name = Path(f"/proc/{pid}/comm").read_text().strip()
            except (FileNotFoundError, ProcessLookupError):
                continue
            found[name.removeprefix("conveyor-")] = int(pid)
        return found

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        """Kill it if it lives."""
        if self.process.poll() is None:
            self.end(signal.SIGKILL)
