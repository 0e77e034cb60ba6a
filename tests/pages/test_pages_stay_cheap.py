from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from belts.models import Belt
from products.models import Product
from runs.models import BeltRun, JobRun
from tests import builders

pytestmark = [pytest.mark.django_db, pytest.mark.database]

_numbers = count(1)
MOST = 15
MORE = 12


@pytest.fixture
def reader(db: None) -> Client:
    """Staff, who see all; the session of a page takes two queries."""
    client = Client()
    client.force_login(builders.a_user("boss", staff=True))
    return client


@pytest.fixture
def belt(db: None) -> Belt:
    product = builders.a_product("web")
    builders.a_source(product)
    return builders.a_belt("build", product=product, jobs=["compile", "pack"])


@pytest.fixture
def run(belt: Belt) -> BeltRun:
    run = builders.a_belt_run({"compile": "succeeded", "pack": "running"}, belt=belt)
    a_value(run)
    return run


def a_value(run: BeltRun) -> None:
    """Let the first job of a run hand a value on to the others, and the run lead to another."""
    first, *others = run.job_runs.order_by("position")
    for other in others:
        builders.an_attempt(other, "failed")
        output = builders.an_output(first, f"VALUE_{next(_numbers)}")
        builders.a_consumption(other, output)
        builders.a_supplier(other, run, job_name=f"job-{next(_numbers)}")
    down = builders.a_belt()
    builders.an_edge(run, down, started=builders.a_belt_run(belt=down, upstream=run))


def more_of_everything(belt: Belt, run: BeltRun) -> None:
    """Add rows that every page and list here shows."""
    for index in range(MORE):
        builders.a_job_run("succeeded", name=f"more-{index}", belt_run=run)
        builders.a_trigger(belt.product, ["build"])
        builders.an_event(belt.product)
        builders.a_source(builders.a_product(), error="It cannot be read.")
        builders.a_belt(product=belt.product)
        other = builders.a_belt_run({"compile": "succeeded", "pack": "queued"}, belt=belt)
        builders.a_belt_run({"a": "queued"}, upstream=run)
        a_value(other)
        builders.a_runner()
        builders.a_fleet()
    a_value(run)
    pack = run.job_runs.get(name="pack")
    for name in ("A", "B", "C"):
        output = builders.an_output(pack, name)
        builders.a_consumption(builders.a_job_run("running"), output)


PAGES: dict[str, Callable[[Belt, BeltRun], str]] = {
    "home": lambda belt, run: "/",
    "products": lambda belt, run: "/products/",
    "product": lambda belt, run: belt.product.get_absolute_url(),
    "belt": lambda belt, run: belt.get_absolute_url(),
    "belt run": lambda belt, run: run.get_absolute_url(),
    "job run": lambda belt, run: run.job_runs.get(name="pack").get_absolute_url(),
    "runners": lambda belt, run: "/runners/",
    "api product": lambda belt, run: f"/api/v1/products/{belt.product.name}/",
    "api belt run": lambda belt, run: f"/api/v1/belt-runs/{run.pk}/",
    "api job run": lambda belt, run: f"/api/v1/job-runs/{run.job_runs.get(name='pack').pk}/",
}
LISTS = (
    "/api/v1/products/",
    "/api/v1/events/",
    "/api/v1/belts/",
    "/api/v1/triggers/",
    "/api/v1/definitions/",
    "/api/v1/belt-runs/",
    "/api/v1/job-runs/",
    "/api/v1/attempts/",
    "/api/v1/runners/",
    "/api/v1/fleets/",
)


def path_of(page: str, belt: Belt, run: BeltRun) -> str:
    return PAGES[page](belt, run) if page in PAGES else page


def queries_of(reader: Client, path: str) -> list[str]:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        response = reader.get(path)
    assert response.status_code == 200, path
    return [each["sql"] for each in queries.captured_queries]


@pytest.mark.parametrize("page", [*PAGES, *LISTS, "/admin/products/product/"])
def test_more_rows_take_no_more_queries(
    page: str, reader: Client, belt: Belt, run: BeltRun
) -> None:
    path = path_of(page, belt, run)
    few = queries_of(reader, path)
    more_of_everything(belt, run)

    many = queries_of(reader, path)

    assert len(few) <= MOST, few
    assert len(many) <= len(few) + 1, "\n".join(many)


@pytest.mark.parametrize("page", LISTS)
def test_nothing_counts_a_table(page: str, reader: Client, belt: Belt, run: BeltRun) -> None:
    for query in queries_of(reader, page):
        assert "COUNT(" not in query.upper(), query


def test_a_member_takes_as_many_queries_as_staff(belt: Belt, run: BeltRun) -> None:
    client = Client()
    client.force_login(builders.a_member(belt.product))
    for page in (*PAGES, *LISTS):
        queries = queries_of(client, path_of(page, belt, run))
        assert len(queries) <= MOST, page


def test_the_runs_of_a_belt_are_walked_from_the_newest_to_the_first(
    reader: Client, belt: Belt
) -> None:
    for number in range(1, 66):
        builders.a_belt_run(belt=belt, number=number)
    seen: list[int] = []
    where: str = belt.get_absolute_url()
    while where:
        context: Any = reader.get(where).context
        seen += [run.number for run in context["runs"]]
        more = context["more"]
        where = f"{belt.get_absolute_url()}?before={more}" if more else ""
    assert seen == list(range(65, 0, -1))


def test_products_are_walked_by_name(reader: Client) -> None:
    names = sorted(builders.a_product(f"p-{number:03}").name for number in range(130))
    first = reader.get("/products/").context
    second = reader.get(f"/products/?after={first['more']}").context
    assert [each.name for each in (*first["products"], *second["products"])] == names
    assert second["more"] == ""


def test_a_list_of_the_api_is_walked_by_cursor(reader: Client) -> None:
    ids = {str(builders.a_job_run().pk) for _ in range(7)}
    seen: list[str] = []
    where = "/api/v1/job-runs/?page_size=3"
    while where:
        page = reader.get(where).json()
        seen += [each["id"] for each in page["results"]]
        where = page["next"]
    assert set(seen) == ids
    assert len(seen) == JobRun.objects.count()
    assert Product.objects.count() == 7
