from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from products.models import Configuration, Product
from runs.models import BeltRun
from tests import builders
from tests.belts.git_repositories import Repository
from tests.engine import Worker, belt_named, job_of, publish_text, state, states

pytestmark = [pytest.mark.django_db, pytest.mark.database]

FILE = """
    product: ours
    belts:
      - name: build
        jobs:
          - name: compile
            commands: make
            outputs:
              - VERSION
          - name: check
            inputs: compile
            commands: make check
    """


@pytest.fixture
def caller(db: None) -> Client:
    product = publish_text(FILE)
    operator = builders.a_member(product, name="ada")
    token = builders.a_token(operator, scopes=["read", "run"])
    return Client(headers={"Authorization": f"Bearer {token}"})


def post(caller: Client, path: str, status: int, **body: Any) -> dict[str, Any]:
    response = caller.post(f"/api/v1/{path}/", data=body, content_type="application/json")
    assert response.status_code == status, response.content
    document: dict[str, Any] = response.json()
    return document


def started(caller: Client, **body: Any) -> BeltRun:
    document = post(caller, f"belts/{belt_named('ours.build').pk}/start", 201, **body)
    return BeltRun.objects.get(pk=document["id"])


def test_start_that_is_asked_again_makes_a_second_run(caller: Client) -> None:
    """As the documents say: there are no keys yet by which a repeated request is recognised."""
    assert [started(caller).number for _ in range(2)] == [1, 2]


def test_archived_product_starts_and_repeats_nothing(caller: Client) -> None:
    run = started(caller)
    post(caller, f"belt-runs/{run.pk}/cancel", 200)
    Product.objects.update(archived_at=Now())
    refused = [
        post(caller, f"belts/{run.belt_id}/start", 409),
        post(caller, f"belt-runs/{run.pk}/rerun", 409),
    ]
    sentence = (
        "The product ours is archived. Restore it in the admin, Products, to start its belts."
    )
    assert [(each["code"], each["message"]) for each in refused] == [
        ("belt.archived", sentence)
    ] * 2


def test_a_belt_is_started_as_asked(caller: Client) -> None:
    run = started(caller, parameters={"LEVEL": "$(id) 'x'"}, continue_downstream=False)

    assert states(run) == {"compile": "queued", "check": "waiting"}
    assert run.parameters == {"LEVEL": "$(id) 'x'"}
    assert not run.continue_downstream
    assert run.started_by is not None
    assert run.started_by.username == "ada"
    shown = caller.get(f"/api/v1/belt-runs/{run.pk}/").json()
    assert [job["state"] for job in shown["job_runs"]] == ["queued", "waiting"]


def test_belt_is_started_by_its_name(caller: Client) -> None:
    document = post(caller, "belts/ours.build/start", 201, parameters={"LEVEL": "1"})
    run = BeltRun.objects.get(pk=document["id"])
    assert (str(run.belt), run.parameters) == ("ours.build", {"LEVEL": "1"})


def test_unknown_and_unseen_belts_are_the_same_nothing(caller: Client) -> None:
    builders.a_belt("build", product=builders.a_product("theirs"))
    names = ("ours.none", "none.build", "theirs.build")
    answers = [post(caller, f"belts/{name}/start", 404) for name in names]
    assert {answer["message"] for answer in answers} == {
        "There is no belt of this name that you may see."
    }
    assert not BeltRun.objects.exists()


def test_what_cannot_be_started_says_why(caller: Client) -> None:
    belt = belt_named("ours.build").pk
    refused = post(caller, f"belts/{belt}/start", 409, ref="main")
    assert refused["code"] == "source.none"
    assert "has no source" in refused["message"]
    assert not BeltRun.objects.exists()


def test_a_belt_is_started_at_what_its_repository_has(caller: Client, tmp_path: Path) -> None:
    Configuration.objects.create(allow_local_sources=True)
    repository = Repository(tmp_path)
    commit = repository.commit(dedent(FILE))
    product = belt_named("ours.build").product
    builders.a_source(product, url=str(repository.bare))
    path = f"belts/{belt_named('ours.build').pk}/start"

    refused = post(caller, path, 409, ref="mian")
    assert refused["code"] == "source.ref-missing"
    assert "main" in refused["message"]
    assert not BeltRun.objects.exists()

    made = post(caller, path, 201, ref="main")
    assert (made["commit"], made["branch"]) == (commit, "main")


def test_a_belt_run_is_cancelled_once(caller: Client) -> None:
    run = started(caller)
    document = post(caller, f"belt-runs/{run.pk}/cancel", 200)
    assert document["state"] == "cancelled"
    assert states(run) == {"compile": "cancelled", "check": "cancelled"}
    assert post(caller, f"belt-runs/{run.pk}/cancel", 409)["code"] == "run.already-finished"


def test_a_running_job_is_asked_to_end(caller: Client) -> None:
    run = started(caller)
    Worker().begun(run, "compile")
    document = post(caller, f"job-runs/{job_of(run, 'compile').pk}/cancel", 200)
    assert document["state"] == "running"
    assert document["cancel_requested_at"]


def test_what_failed_is_repeated_and_the_rest_kept(caller: Client) -> None:
    run = started(caller)
    assert post(caller, f"belt-runs/{run.pk}/rerun", 409)["code"] == "run.not-finished"
    worker = Worker()
    worker.do(run, "compile", VERSION="1")
    worker.do(run, "check", "failed")
    assert state(run) == "failed"

    document = post(caller, f"belt-runs/{run.pk}/rerun", 201, only_failed=True)

    assert (document["number"], document["round"]) == (1, 2)
    again = BeltRun.objects.get(pk=document["id"])
    assert states(again) == {"compile": "succeeded", "check": "queued"}
    kept = caller.get(f"/api/v1/job-runs/{job_of(again, 'compile').pk}/").json()
    assert [each["value"] for each in kept["outputs"]] == ["1"]
    log = caller.get(f"/api/v1/job-runs/{kept['id']}/log/")
    assert b"".join(log.streaming_content) == b"Kept from #1. Its log is there.\n"  # type: ignore[attr-defined]  # a streamed answer


def test_the_log_of_a_skipped_job_is_the_reason(caller: Client) -> None:
    run = started(caller)
    Worker().do(run, "compile", "failed")
    log = caller.get(f"/api/v1/job-runs/{job_of(run, 'check').pk}/log/")
    said = b"".join(log.streaming_content).decode()  # type: ignore[attr-defined]  # a streamed answer
    assert said == "This job waits for job compile, which failed.\n"
