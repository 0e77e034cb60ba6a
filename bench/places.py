"""The servers, the folder and the environment of a site for the benchmark."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from bench.processes import ROOT
from conveyor_site.local_secret import new_credential_keys
from tests.postgres import PostgresServer
from tests.queue_server import QueueServer

DATA_DIR = "CONVEYOR_DATA_DIR"
#: The variable with the id of the database server's process, where there is one.
DATABASE_PID = "BENCH_DATABASE_PID"
Environment = Mapping[str, str]


@contextmanager
def _folder() -> Iterator[Path]:
    """Give a folder that jobs of other users may pass through; it is removed afterwards."""
    path = Path(tempfile.mkdtemp(prefix="conveyor-bench-"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def on_postgres() -> Iterator[Environment]:
    """Give a site on PostgreSQL and a queue server, both durable."""
    with _folder() as folder, PostgresServer(durable=True) as server:
        queue = QueueServer(folder, durable=True)
        try:
            pid = (server.data / "postmaster.pid").read_text().split()[0]
            yield _migrated(
                folder,
                CONVEYOR_DATABASE_URL=server.url(),
                CONVEYOR_BROKER_URL=queue.url,
                **{DATABASE_PID: pid},
            )
        finally:
            queue.kill()


@contextmanager
def on_embedded() -> Iterator[Environment]:
    """Give a site on what is used where nothing is configured: SQLite and the embedded queue."""
    with _folder() as folder:
        yield _migrated(folder)


SITES: Mapping[str, Callable[[], AbstractContextManager[Environment]]] = {
    "postgres": on_postgres,
    "embedded": on_embedded,
}


def _migrated(folder: Path, **more: str) -> Environment:
    data = folder / "data"
    data.mkdir(mode=0o700)
    environment = {
        **{key: text for key, text in os.environ.items() if not key.startswith("CONVEYOR_")},
        "DJANGO_SETTINGS_MODULE": "conveyor_site.settings",
        DATA_DIR: str(data),
        "CONVEYOR_WORK_DIR": str(folder / "work"),
        "CONVEYOR_KEYS": new_credential_keys(),
        "CONVEYOR_SECRET_KEY": secrets.token_urlsafe(),
        "CONVEYOR_LOG_LEVEL": "WARNING",
        **more,
    }
    migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(migrate, cwd=ROOT, env=environment, check=True)
    return environment
