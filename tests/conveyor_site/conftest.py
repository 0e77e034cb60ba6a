from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conveyor_site.living import LivingOrchestrator, environment_of
from tests.own_database import OwnDatabase

Start = Callable[..., LivingOrchestrator]


@pytest.fixture
def environment(folder: Path, own_database: OwnDatabase) -> dict[str, str]:
    """The environment of a site with the embedded queue, whose database this process shares."""
    return environment_of(folder, own_database.environment)


@pytest.fixture
def start(folder: Path, environment: dict[str, str]) -> Iterator[Start]:
    """Starts orchestrators, which are killed after the test."""
    started: list[LivingOrchestrator] = []

    def start_one(*arguments: str, **more: str) -> LivingOrchestrator:
        started.append(LivingOrchestrator(folder, {**environment, **more}, *arguments))
        return started[-1]

    yield start_one
    for each in started:
        each.close()
