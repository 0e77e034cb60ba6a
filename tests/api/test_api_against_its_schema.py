from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.config import SchemathesisConfig

from conveyor_site.wsgi import application
from products.models import Source
from runs.models import BeltRun
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


def places_in(path: str, key: str) -> dict[str, str] | None:
    """Return what the path names: the row of this key, or the belt that can be started."""
    known = {"id": key, "name": key, "product": "ours", "belt": "compile"}
    return {name: text for name, text in known.items() if f"{{{name}}}" in path} or None


@dataclass(frozen=True)
class Asked:
    """A right request about what is there, which is refused for what it names or not at all."""

    label: str
    query: dict[str, Any]
    body: Any

    def may_be_refused(self) -> dict[int, str]:
        """Return the refusals that the state of things may give a reason for: status and code."""
        if self.label.endswith("/start/"):
            # The belt's product has no repository, so no ref is one of it.
            return {409: "source.none"} if self.named("ref") else {}
        if self.label.endswith("/cancel/"):
            return {409: "run.already-finished"}
        if self.label.endswith("/rerun/"):
            return {409: "run.not-finished"}
        named = {"cursor", "attempt"} & self.query.keys()
        return {404: "not-found"} if named else {}

    def named(self, key: str) -> bool:
        return isinstance(self.body, dict) and bool(self.body.get(key))

    def answered_by(self, response: Any) -> None:
        """Hold the answer to what may be answered."""
        if response.status_code >= 400:
            assert {response.status_code: response.json()["code"]} == self.may_be_refused()


@pytest.mark.parametrize("label", OPERATIONS)
def test_what_is_asked_is_answered_as_described(
    label: str, ids: dict[str, str], headers: dict[str, str]
) -> None:
    operation = OPERATIONS[label]
    collection = operation.path.split("/")[3]
    there = places_in(operation.path, ids[collection])

    def cases(mode: GenerationMode, **given_parts: Any) -> Any:
        return operation.as_strategy(mode, **given_parts)

    def check(strategy: Any, then: Callable[[Case[Any], Any], None]) -> None:
        @given(case=strategy)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        def ask(case: Case[Any]) -> None:
            then(case, case.call_and_validate(headers=headers))

        ask()

    def nothing_more(case: Case[Any], response: Any) -> None:
        """Leave it at the tool's own checks."""

    def as_things_are(case: Case[Any], response: Any) -> None:
        Asked(label, dict(case.query or {}), case.body).answered_by(response)

    check(cases(GenerationMode.POSITIVE, path_parameters=there), as_things_are)
    wrong = cases(GenerationMode.NEGATIVE, path_parameters=there)
    check(st.one_of(cases(GenerationMode.POSITIVE), wrong) if there else wrong, nothing_more)


@pytest.mark.parametrize("named", ["{id}", "{product}.{belt}"])
def test_every_start_that_is_described_makes_a_run(
    ids: dict[str, str], headers: dict[str, str], named: str
) -> None:
    operation = OPERATIONS[f"POST /api/v1/belts/{named}/start/"]
    there = places_in(operation.path, ids["belts"])
    runs = BeltRun.objects.filter(belt__product__name="ours")

    @given(case=operation.as_strategy(path_parameters=there))
    @settings(max_examples=EXAMPLES // 2, deadline=None, database=None, derandomize=True)
    def ask(case: Case[Any]) -> None:
        before = runs.count()
        asked = case.body if isinstance(case.body, dict) else {}
        case.body = {**asked, "ref": ""}
        response = case.call_and_validate(headers=headers)
        assert (response.status_code, runs.count()) == (201, before + 1)
        run = runs.latest("id")
        assert run.parameters == asked.get("parameters", {})
        assert run.continue_downstream == asked.get("continue_downstream", True)

    ask()


@pytest.mark.parametrize("query", ["product=", "job_run=", "state=", "page_size=", "attempt="])
@pytest.mark.parametrize("path", ["job-runs/", "belt-runs/", "attempts/", "runners/", "log/"])
def test_an_empty_parameter_is_not_one_that_was_left_out(
    ids: dict[str, str], headers: dict[str, str], path: str, query: str
) -> None:
    place = f"job-runs/{ids['job-runs']}/log/" if path == "log/" else path
    response = Client(headers=headers).get(f"/api/v1/{place}?{query}")
    assert response.status_code == 400
    [problem] = response.json()["problems"]
    assert problem["path"] == query.rstrip("=")


def test_a_parameter_that_nobody_reads_or_that_is_given_twice_is_named(
    ids: dict[str, str], headers: dict[str, str]
) -> None:
    caller = Client(headers=headers)
    hints = {}
    for query in ("prodct=ours", "colour=red", "product=ours&product=theirs", "page_sise=1"):
        response = caller.get(f"/api/v1/belts/?{query}")
        assert response.status_code == 400
        hints[query] = response.json()["problems"][0]["message"]
    assert list(hints.values()) == [
        "Did you mean product?",
        "This key does not exist. Known: product, name, page_size, cursor, format.",
        "Send it once.",
        "Did you mean page_size?",
    ]
