"""Two tenants, each with a row of everything, so that every address can be tried across them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.urls import URLPattern, URLResolver, get_resolver

from belts.models import Belt
from products.models import Product
from runs.models import BeltRun, JobRun
from tests import builders


@dataclass(frozen=True)
class Tenant:
    """A product with an operator, and ids by the collection that lists them."""

    product: Product
    user: User
    belt: Belt
    run: BeltRun
    job_run: JobRun
    ids: dict[str, Any]


def a_tenant(name: str) -> Tenant:
    """Return a product with a row of everything that belongs to a product."""
    product = builders.a_product(name)
    builders.a_source(product)
    belt = builders.a_belt("build", product=product, jobs=["compile", "pack"])
    run = builders.a_belt_run({"compile": "succeeded", "pack": "running"}, belt=belt)
    job_run = run.job_runs.get(name="pack")
    attempt = builders.an_attempt(job_run)
    builders.a_log(attempt, f"log of {name}\n")
    output = builders.an_output(run.job_runs.get(name="compile"), value=f"value of {name}")
    builders.a_consumption(job_run, output)
    builders.a_supplier(job_run, run)
    builders.an_edge(run, belt)
    fleet = builders.a_fleet(f"{name}-fleet", all_products=False)
    fleet.products.add(product)
    ids = {
        "products": product.name,
        "events": builders.an_event(product).pk,
        "credentials": builders.a_credential(product, name=f"{name}-key").pk,
        "belts": belt.pk,
        "triggers": builders.a_trigger(product, ["build"]).pk,
        "definitions": run.definition_id,
        "commit-files": builders.a_commit_file(product).pk,
        "belt-runs": run.pk,
        "job-runs": job_run.pk,
        "attempts": attempt.pk,
        "fleets": fleet.pk,
    }
    user = builders.a_member(product, name=f"operator-of-{name}")
    return Tenant(product, user, belt, run, job_run, ids)


def api_routes() -> Iterator[str]:
    """Yield every route of the API, such as ``api/v1/belts/<uuid:pk>/``."""
    for route, pattern in all_routes():
        if route.startswith("api/v1/") and pattern.name is not None:
            yield route


def all_routes() -> Iterator[tuple[str, URLPattern]]:
    """Yield every route of the site with its pattern."""
    yield from _routes(get_resolver().url_patterns, "")


def _routes(
    patterns: list[URLPattern | URLResolver], prefix: str
) -> Iterator[tuple[str, URLPattern]]:
    for each in patterns:
        if isinstance(each, URLResolver):
            yield from _routes(each.url_patterns, prefix + str(each.pattern))
        else:
            yield prefix + str(each.pattern), each


def path_of(route: str, tenant: Tenant) -> str:
    """Return the path of a route of the API with the ids of a tenant in it."""
    names = {"product": tenant.product.name, "belt": tenant.belt.name}
    collection = route.partition("<")[0].rstrip("/").rpartition("/")[2]
    filled = re.sub(
        r"<\w+:(\w+)>",
        lambda place: str(names.get(place[1]) or tenant.ids[collection]),
        route,
    )
    return f"/{filled}"
