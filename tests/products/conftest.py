from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings

from products.models import Configuration, Source
from products.polling import poll_source
from tests.builders import a_source
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


@pytest.fixture
def mirrors(tmp_path: Path) -> Path:
    return tmp_path / "mirrors"


@pytest.fixture
def source(repository: Repository, local_sources: None) -> Source:
    """A source that was looked at once; its repository has one commit."""
    repository.commit("one")
    source = a_source(url=repository.url, default_branch="")
    assert poll_source(source.pk) == 0
    return source
