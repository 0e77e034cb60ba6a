from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance

from conveyor_site.wsgi import application
from products.models import Source
from tests import builders
from tests.api.world import a_tenant, api_routes
from tests.engine import belt_named, publish_text

pytestmark = [pytest.mark.django_db]

EXAMPLES = 8
#: What wrong data may be answered with: also 413, which is not among the tool's own.
REFUSALS = ["4xx"]


def described() -> Any:
    """Return the schema of the site, as one that calls it in this process."""
    document = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]  # untyped package
    config = SchemathesisConfig.from_dict(
        {"checks": {"negative_data_rejection": {"expected-statuses": REFUSALS}}}
    )
    schema = schemathesis.openapi.from_dict(json.loads(json.dumps(document)), config=config)
    schema.app = application
    return schema


OPERATIONS = {each.ok().label: each.ok() for each in described().get_all_operations()}


@pytest.fixture
def ids(db: None) -> dict[str, str]:
    """Ids of rows that the caller may see, by collection; the belt can really be started."""
    publish_text(
        """
        product: ours
        belts:
          - name: compile
            jobs:
              - name: first
                commands: "true"
              - name: second
                inputs: first
                commands: "true"
        """
    )
    tenant = a_tenant("seen")
    # Nothing is asked of other machines.
    Source.objects.all().delete()
    runner = builders.a_runner()
    belt = belt_named("ours.compile")
    return {**{name: str(pk) for name, pk in tenant.ids.items()}, "belts": str(belt.pk)} | {
        "runners": str(runner.pk)
    }


@pytest.fixture(autouse=True)
def one_connection() -> Iterator[None]:
    """Let requests use the connection of the test, as Django's own test client does."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def headers(db: None) -> dict[str, str]:
    boss = builders.a_user("boss", staff=True)
    return {"Authorization": f"Bearer {builders.a_token(boss, scopes=['read', 'run'])}"}


def test_the_schema_validates_without_a_warning(tmp_path: Any) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", file=str(tmp_path / "schema.yaml"))


def test_the_schema_describes_every_route() -> None:
    undescribed = {"api/v1/", "api/v1/docs/", "api/v1/schema/"}
    paths = {label.partition(" ")[2] for label in OPERATIONS}
    assert len(paths) == len(set(api_routes()) - undescribed)


def has_no_empty_parameter(case: Case[Any]) -> bool:
    """An empty parameter of a query is one that is not given, as forms send it."""
    return "" not in dict(case.query or {}).values()


@pytest.mark.parametrize("label", OPERATIONS)
def test_what_is_asked_is_answered_as_described(
    label: str, ids: dict[str, str], headers: dict[str, str]
) -> None:
    operation = OPERATIONS[label]
    collection = operation.path.split("/")[3]
    place = next((name for name in ("id", "name") if f"{{{name}}}" in operation.path), None)
    there = {place: ids[collection]} if place else None

    def cases(mode: GenerationMode, **given_parts: Any) -> Any:
        return operation.as_strategy(mode, **given_parts)

    right = [cases(GenerationMode.POSITIVE), cases(GenerationMode.POSITIVE, path_parameters=there)]
    wrong = [cases(GenerationMode.NEGATIVE, path_parameters=there).filter(has_no_empty_parameter)]

    # A ref or parameter may be well formed and still be none of this product.
    excluded: list[Any] = [positive_data_acceptance] if label.endswith("/start/") else []

    @given(case=st.one_of(*right, *wrong))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Case[Any]) -> None:
        case.call_and_validate(headers=headers, excluded_checks=excluded)

    ask()
