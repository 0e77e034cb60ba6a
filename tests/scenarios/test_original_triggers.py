"""Which jobs of the first original file start, and at what."""

from __future__ import annotations

import pytest

from belts.commit_files import store_commit_file
from belts.definitions import publish, store_definition
from belts.spec import parse_belt_text
from products.models import Event, Product, Source
from runs.models import BeltRun, JobRun
from runs.triggers import start_for_event
from tests.builders import an_event
from tests.scenarios.living import SCENARIOS

pytestmark = [pytest.mark.django_db, pytest.mark.database]

FILE = SCENARIOS / "01_ror_api_backend" / "ror-api-backend.conveyor.yml"


@pytest.fixture
def product() -> Product:
    file = parse_belt_text(FILE.read_bytes()).file
    assert file is not None
    product = Product.objects.create(name=file.product, managed_by=Product.Manager.FILE)
    Source.objects.create(
        product=product, url="git://github.com/ror-api-backend", default_branch="main"
    )
    publish(product, store_definition(product, file))
    return product


def happened(product: Product, kinds: list[str], *, url: str | None = None) -> list[str]:
    """Return the jobs that start when something happens in the product's repository."""
    if url is not None:
        Source.objects.filter(product=product).update(url=url)
    source = Source.objects.get(product=product)
    event: Event = an_event(product, kinds=kinds, source=source)
    data = FILE.read_bytes()
    file = parse_belt_text(data).file
    assert file is not None
    definition = store_definition(product, file)
    store_commit_file(product, event.commit, data=data, problems=[], definition=definition)
    runs = start_for_event(event.id)
    return [f"{each.belt_run.belt.name}.{each.name}" for each in started(runs)]


def started(runs: list[BeltRun]) -> list[JobRun]:
    rows = JobRun.objects.filter(belt_run__in=runs).select_related("belt_run__belt")
    return list(rows.order_by("belt_run", "position"))


def test_a_pull_request_starts_rubocop_and_rspec(product: Product) -> None:
    assert happened(product, ["pull-request"]) == [
        "pull-request-tests.rubocop",
        "pull-request-tests.rspec",
    ]


def test_a_merge_builds_the_gem(product: Product) -> None:
    assert happened(product, ["push", "merge"]) == ["build-gem.build-gem"]


def test_a_push_starts_nothing(product: Product) -> None:
    assert happened(product, ["push"]) == []


@pytest.mark.parametrize(
    "url", ["https://github.com/ror-api-backend.git", "ssh://git@github.com/ror-api-backend"]
)
def test_the_same_repository_in_another_form_is_the_same(product: Product, url: str) -> None:
    assert happened(product, ["push", "merge"], url=url) == ["build-gem.build-gem"]


def test_another_repository_starts_nothing(product: Product) -> None:
    assert happened(product, ["merge"], url="https://github.com/fork/ror-api-backend") == []
