from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client, override_settings

from products.models import Product
from runs.cancel import cancel_belt_run
from runs.chains import state_of, whole_chain
from runs.durations import in_words
from runs.models import BeltRun, JobRun
from runs.reaper import lose_expired_attempts
from tests import builders
from tests.engine import Worker, job_of, pass_time, publish_text, start_text, states

pytestmark = [pytest.mark.django_db, pytest.mark.database]

FILE = """
    product: ours
    belts:
      - name: build
        jobs:
          - name: compile
            commands: make
            retry: 1
          - name: check
            inputs: compile
            commands: make check
    """


@pytest.fixture
def reader(db: None) -> Client:
    client = Client()
    client.force_login(builders.a_user("boss", staff=True))
    return client


@pytest.fixture
def run(db: None) -> BeltRun:
    return start_text(FILE)


def page_of(reader: Client, row: BeltRun | JobRun, **query: Any) -> str:
    response = reader.get(row.get_absolute_url(), query)
    assert response.status_code == 200
    return response.content.decode()


def test_run_of_an_archived_product_has_no_rerun_button(reader: Client, run: BeltRun) -> None:
    cancel_belt_run(run, by="Eve")
    assert "Rerun" in page_of(reader, run)
    Product.objects.update(archived_at=Now())
    assert "Rerun" not in page_of(reader, run)


def test_what_moves_while_the_page_is_made_is_a_change_for_who_watches(
    reader: Client, run: BeltRun
) -> None:
    worker = Worker()
    attempt_id = worker.claimed(run, "compile")
    moved: list[bool] = []

    def move_after_the_jobs_are_read(
        execute: Any, sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        answer = execute(sql, params, many, context)
        if 'FROM "runs_jobrun"' in sql and not moved:
            moved.append(True)
            worker.end(attempt_id, "cancelled")
        return answer

    with connection.execute_wrapper(move_after_the_jobs_are_read):
        page = page_of(reader, run)

    assert moved
    version = re.search(r"\?version=([0-9.]+)", page)
    assert version is not None, "The page is not watched."
    assert version[1] != state_of(whole_chain(run)).version


def test_a_run_that_ended_is_not_watched(reader: Client, run: BeltRun) -> None:
    assert "data-changes" in page_of(reader, run)
    worker = Worker()
    worker.do(run, "compile")
    worker.do(run, "check")
    assert "data-changes" not in page_of(reader, run)


def test_a_job_that_waits_and_is_skipped_says_so_in_place_of_a_log(
    reader: Client, run: BeltRun
) -> None:
    check = job_of(run, "check")
    assert '<span class="control">Waits for job compile.</span>' in page_of(reader, check)
    worker = Worker()
    worker.do(run, "compile", "failed")
    worker.do(run, "compile", "failed")
    assert states(run)["check"] == "skipped"
    said = "This job waits for job compile, which failed."
    assert f'<span class="control">{said}</span>' in page_of(reader, check)


def test_only_the_newest_attempt_of_an_unfinished_job_is_followed(
    reader: Client, run: BeltRun
) -> None:
    worker = Worker()
    worker.do(run, "compile", "failed")
    compile_run = job_of(run, "compile")
    assert compile_run.state == "queued"
    # The first attempt has ended; its page waits for the second one.
    assert "attempt=1" in page_of(reader, compile_run).partition("data-stream")[2]
    worker.begun(run, "compile")
    assert "attempt=2" in page_of(reader, compile_run).partition("data-stream")[2]
    assert "data-stream" not in page_of(reader, compile_run, attempt="1")


def test_a_stream_ends_when_the_next_attempt_begins(reader: Client, run: BeltRun) -> None:
    worker = Worker()
    worker.do(run, "compile", "failed")
    path = f"/api/v1/job-runs/{job_of(run, 'compile').pk}/log/stream/?attempt=1"
    assert b"event: end" not in b"".join(reader.get(path).streaming_content)  # type: ignore[attr-defined]  # a streamed answer
    worker.begun(run, "compile")
    assert b"event: end" in b"".join(reader.get(path).streaming_content)  # type: ignore[attr-defined]  # a streamed answer


def test_who_is_logged_in_goes_on_and_who_may_not_is_told(reader: Client) -> None:
    assert reader.get("/login/?next=/admin/")["Location"] == "/admin/"
    assert reader.get("/admin/login/?next=/admin/")["Location"] == "/login/?next=/admin/"
    ada = Client()
    ada.force_login(builders.a_user("ada"))
    assert ada.get("/login/?next=/products/")["Location"] == "/products/"
    refused = ada.get("/login/?next=/admin/").content.decode()
    assert "ada has no access to this page." in refused
    assert ada.get("/login/?next=https://evil.example/")["Location"] == "/"


def test_a_job_shows_the_commands_that_its_run_was_made_with(reader: Client) -> None:
    run = start_text("""
        product: ours
        belts:
          - name: build
            jobs:
              - name: compile
                pre-run: echo "before <all>"
                commands: |
                  make
                  make install
                post-run: echo after
        """)
    publish_text("""
        product: ours
        belts:
          - name: build
            jobs:
              - name: compile
                commands: echo something else
        """)
    page = page_of(reader, job_of(run, "compile"))
    assert 'aria-label="Pre-run">echo &quot;before &lt;all&gt;&quot;</pre>' in page
    assert 'aria-label="Commands">make\nmake install' in page
    assert 'aria-label="Post-run">echo after</pre>' in page
    assert "something else" not in page


def test_times_are_shown_with_their_zone(reader: Client, run: BeltRun) -> None:
    page = page_of(reader, run)
    assert re.search(r"<time [^>]*>\d+ [A-Z][a-z]{2} \d\d:\d\d:\d\d UTC</time>", page)
    with override_settings(TIME_ZONE="Europe/Vienna"):
        assert re.search(
            r"<time [^>]*>\d+ [A-Z][a-z]{2} \d\d:\d\d:\d\d CES?T</time>", page_of(reader, run)
        )


def test_of_a_lost_attempt_it_is_said_that_it_took_no_longer(reader: Client, run: BeltRun) -> None:
    Worker().begun(run, "compile")
    pass_time(110)
    assert lose_expired_attempts() == 1
    page = page_of(reader, job_of(run, "compile"))
    assert re.findall(r"at most 1 min 5\d s", page), page


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-2, "< 0.1 s"),
        (0.04, "< 0.1 s"),
        (0.06, "0.1 s"),
        (0.94, "0.9 s"),
        (0.96, "1 s"),
        (59.4, "59 s"),
        (185, "3 min 5 s"),
        (7440, "2 h 4 min"),
    ],
)
def test_lengths_of_time_are_short_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_job_of_a_lost_runner_shows_what_to_do(reader: Client) -> None:
    lost = builders.a_job_run("errored")
    JobRun.objects.update(reason="runner-lost", message="The runner r1 was lost.")
    sentence = "The runner r1 was lost. Its commands may have run in part. Rerun the job if"
    assert sentence in page_of(reader, lost)
    assert sentence in page_of(reader, lost.belt_run)


def test_job_that_runs_again_after_a_loss_shows_no_advice(reader: Client) -> None:
    again = builders.a_job_run("queued")
    JobRun.objects.update(reason="runner-lost", message="The runner r1 was lost.")
    assert "Rerun the job" not in page_of(reader, again)
