from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.own_database import OwnDatabase
from tests.queue_server import QueueServer
from tests.scenarios.living import ScenarioSite


@pytest.fixture
def site(
    folder: Path, own_database: OwnDatabase, queue_server: QueueServer
) -> Iterator[ScenarioSite]:
    """A site of real processes whose database this process shares."""
    environment = {**own_database.environment, "CONVEYOR_BROKER_URL": queue_server.url}
    site = ScenarioSite(folder, environment)
    yield site
    site.close()
