from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings

from products.models import Configuration
from tests.products.repositories import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


@pytest.fixture
def local_sources(db: None) -> None:
    """A site on which sources may be on its own machine, without protection."""
    Configuration.objects.create(allow_local_sources=True, allow_http_sources=True)


@pytest.fixture(autouse=True)
def own_data_folder(tmp_path: Path, settings: Settings) -> Path:
    """A data folder of the test's own, in which the orchestrator's mirrors lie."""
    folder = tmp_path / "data"
    settings.CONVEYOR_DATA_DIR = folder
    return folder
