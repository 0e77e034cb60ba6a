from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings
from pytest_django.plugin import DjangoDbBlocker

from tests.chaos.living import StormySite
from tests.own_database import PostgresDatabases, connected_to
from tests.postgres import PostgresServer
from tests.queue_server import QueueServer


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL of the test's own that keeps what it has committed."""
    with PostgresServer(durable=True) as server:
        yield server


@pytest.fixture
def site(
    folder: Path,
    server: PostgresServer,
    queue_server: QueueServer,
    settings: Settings,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[StormySite]:
    """A site of real processes on that database, which this process shares."""
    settings.CONVEYOR_BROKER_URL = queue_server.url
    fresh, data = folder / "fresh", folder / "data"
    fresh.mkdir(mode=0o700)
    data.mkdir(mode=0o700)
    databases = PostgresDatabases(fresh, server.url())
    with databases.make(data) as own, connected_to(own), django_db_blocker.unblock():
        site = StormySite(folder, {**own.environment, "CONVEYOR_BROKER_URL": queue_server.url})
        yield site
        site.close()
