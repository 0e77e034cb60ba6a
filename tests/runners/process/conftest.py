from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from tests.own_database import OwnDatabase
from tests.queue_server import QueueServer
from tests.runners.process.living import Site


@pytest.fixture
def site(
    folder: Path, own_database: OwnDatabase, queue_server: QueueServer, settings: Settings
) -> Iterator[Site]:
    """A site whose database this process and the runners share."""
    settings.CONVEYOR_BROKER_URL = queue_server.url
    site = Site(folder, {**own_database.environment, "CONVEYOR_BROKER_URL": queue_server.url})
    yield site
    site.close()
