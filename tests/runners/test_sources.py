"""What a runner fetches for its jobs, and what that may take."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings

from products.git.blobs import has_object
from products.models import Configuration
from runners.errors import SetupError
from runners.executor.shapes import Isolation
from runners.process.links import Link
from runners.process.plan import RunnerPlan, SlotPlace
from runners.process.slot_line import SlotLine
from runners.sources import checkout_for
from runs.models import BeltRun
from tests.builders import a_belt_run, a_source
from tests.products.repositories import Repository

pytestmark = [pytest.mark.django_db, pytest.mark.database]

MIB = 1024**2


@dataclass
class Place:
    """A slot that fetches."""

    plan: RunnerPlan
    line: SlotLine


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    ours, theirs = Link.pair()
    plan = RunnerPlan(
        name="one",
        host="here",
        boot_id=uuid4(),
        dead_boots=(),
        queues=("default",),
        slots=(SlotPlace(0, None),),
        isolation=Isolation("none"),
        isolation_report=(),
        work_dir=tmp_path,
        job_path="/usr/bin:/bin",
        drain_limit_s=1.0,
        times=settings.CONVEYOR_TIMES,
    )
    yield Place(plan, SlotLine(theirs, 5.0, draining=False))
    ours.close()
    theirs.close()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def run_of(repository: Repository, commit: str) -> BeltRun:
    run = a_belt_run({"build": "queued"}, commit=commit)
    a_source(run.belt.product, url=repository.url)
    return run


def test_a_repository_that_is_too_large_fails_the_job_with_product_limit_and_way_out(
    repository: Repository, place: Place
) -> None:
    Configuration.objects.create(allow_local_sources=True, repository_limit_bytes=MIB)
    noise = hashlib.shake_256(b"noise").hexdigest(2 * MIB)
    run = run_of(repository, repository.commit(noise, path="large"))
    with pytest.raises(SetupError) as failed:
        checkout_for(run, place)
    said = str(failed.value)
    assert f"The source of the product {run.belt.product.name} could not be fetched" in said
    assert "more than 1 MiB" in said
    assert "admin, Configuration, Repository limit" in said

    Configuration.objects.update(repository_limit_bytes=8 * MIB)
    assert Path(checkout_for(run, place).mirror_path).is_dir()


def test_a_whole_history_is_fetched_for_a_job(repository: Repository, place: Place) -> None:
    Configuration.objects.create(allow_local_sources=True)
    first = repository.commit("one")
    checkout = checkout_for(run_of(repository, repository.commit("two")), place)
    assert has_object(Path(checkout.mirror_path), first)
