"""Requests about a run or belt that is removed meanwhile get an error message, not a failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from belts.models import Belt
from runs.cancel import cancel_belt_run, cancel_job_run
from runs.errors import BeltGoneError, RunGoneError
from runs.feeds import LogEvents
from runs.models import BeltRun
from runs.rerun import rerun_belt_run
from runs.start import start_belt_run
from tests import builders
from tests.engine import Worker, belt_named, job_of, publish_text, start_text

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

FILE = """
    product: gem
    belts:
      - name: build
        jobs:
          - {name: compile, commands: make}
"""


@contextmanager
def before(statement: str, act: Callable[[], object]) -> Iterator[None]:
    """Do something right before the first statement that begins so, as another user might."""
    done: list[bool] = []

    def execute(call: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(statement) and not done:
            done.append(True)
            act()
        return call(sql, params, many, context)

    with connection.execute_wrapper(execute):
        yield
    assert done, f"No statement begins with {statement}."


def remove(run: BeltRun) -> None:
    BeltRun.objects.filter(pk=run.pk).delete()


@pytest.fixture
def run(transactional_db: None) -> BeltRun:
    return start_text(FILE)


@pytest.fixture
def ended(run: BeltRun) -> BeltRun:
    Worker().do(run, "compile")
    run.refresh_from_db()
    return run


@pytest.fixture
def boss(transactional_db: None) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(builders.a_user("boss", staff=True))
    return client


def test_every_verb_names_what_is_gone(run: BeltRun) -> None:
    job_run = job_of(run, "compile")
    remove(run)
    gone = "The belt run #1 was removed in the meantime. Look for a newer run of the belt."
    with pytest.raises(RunGoneError, match=gone):
        cancel_belt_run(run, by="Eve")
    with pytest.raises(RunGoneError, match=gone):
        rerun_belt_run(run, by="Eve")
    with pytest.raises(RunGoneError, match="The job run compile was removed"):
        cancel_job_run(job_run, by="Eve")


def test_a_belt_that_was_deleted_is_not_started() -> None:
    publish_text(FILE)
    belt = belt_named("gem.build")
    Belt.objects.filter(pk=belt.pk).delete()
    with pytest.raises(BeltGoneError, match=r"The belt gem\.build was deleted"):
        start_belt_run(belt, by="Eve")
    assert not BeltRun.objects.exists()


def test_a_run_that_is_removed_during_its_cancel_is_not_found(run: BeltRun, boss: Client) -> None:
    lock = 'UPDATE "runs_beltrun"'
    with before(lock, lambda: remove(run)):
        answer = boss.post(f"/api/v1/belt-runs/{run.pk}/cancel/", content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (404, "run.gone")

    second = start_text(FILE)
    with before(lock, lambda: remove(second)):
        page = boss.post(reverse("cancel-belt-run", args=[second.pk]))
    assert page.status_code == 404
    assert "was removed in the meantime." in page.content.decode()


def test_a_run_that_is_removed_during_its_repeat_is_not_found(ended: BeltRun, boss: Client) -> None:
    # It has been read by then, and its repeat is not begun.
    with before('SELECT "runs_runevent"."message"', lambda: remove(ended)):
        answer = boss.post(f"/api/v1/belt-runs/{ended.pk}/rerun/", content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (404, "run.gone")


def test_a_live_log_of_a_run_that_is_removed_ends(run: BeltRun) -> None:
    feed = LogEvents(job_of(run, "compile").pk, number=None, after=-1)
    assert not feed.look().ended
    remove(run)
    assert feed.look().ended


def test_a_belt_that_is_started_while_it_is_deleted_stays(boss: Client) -> None:
    belt = builders.a_belt("build", product=builders.a_product("hand"), jobs=["one"])
    builders.a_belt("other", product=belt.product)
    path = reverse("admin:belts_belt_delete", args=[belt.pk])
    with before('DELETE FROM "belts_belt"', lambda: builders.a_belt_run(belt=belt)):
        page = boss.post(path, {"post": "yes"}, follow=True)
    assert page.status_code == 200
    assert "something has begun meanwhile that uses it" in page.content.decode()
    assert Belt.objects.filter(pk=belt.pk).exists()
