"""The test session: one pass on SQLite, and one with ``--postgres`` on PostgreSQL."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests.own_database import OwnDatabase, PostgresDatabases, SqliteDatabases, connected_to
from tests.parts_not_run import PartsNotRun
from tests.queue_server import QueueServer
from tests.reruns import mark_reruns
from tests.session import OPTION, SERVER_URL, begin

SESSION = begin()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        OPTION,
        action="store_true",
        help="run the tests marked 'database', on a PostgreSQL cluster of this session's own",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(PartsNotRun())


def pytest_report_header() -> str:
    return f"database: {'PostgreSQL' if SESSION.on_postgres else 'SQLite'}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    mark_reruns(items)
    if SESSION.on_postgres:
        others = [item for item in items if item.get_closest_marker("database") is None]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item.get_closest_marker("database") is not None]


def pytest_unconfigure() -> None:
    SESSION.end()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may pass through, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="conveyor-test-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def queue_server(folder: Path) -> Iterator[QueueServer]:
    """A queue server of the test's own."""
    server = QueueServer(folder)
    yield server
    server.kill()


@pytest.fixture(scope="session")
def fresh_databases(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SqliteDatabases | PostgresDatabases]:
    """What makes migrated databases without rows, on the server of this session."""
    data = tmp_path_factory.mktemp("fresh")
    databases = (
        PostgresDatabases(data, os.environ[SERVER_URL])
        if SESSION.on_postgres
        else SqliteDatabases(data)
    )
    yield databases
    databases.close()


@pytest.fixture
def own_database(
    folder: Path,
    fresh_databases: SqliteDatabases | PostgresDatabases,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[OwnDatabase]:
    """A database that this process and the ones it starts share, by ``environment``."""
    data = folder / "data"
    data.mkdir(mode=0o700)
    with (
        fresh_databases.make(data) as database,
        connected_to(database),
        django_db_blocker.unblock(),
    ):
        yield database
