from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from runners.unserved import unserved_queues
from runs.feeds import LogEvents
from runs.models import JobRun
from tests import builders

pytestmark = [pytest.mark.django_db]

WARNING = "No runner serves queue gpu. Start one with: manage.py runner --queues gpu"


@pytest.fixture
def reader(db: None) -> Client:
    client = Client()
    client.force_login(builders.a_user("boss", staff=True))
    return client


def queued_for(seconds: int, **fields: Any) -> JobRun:
    since = timezone.now() - timedelta(seconds=seconds)
    return builders.a_queued_job_run(queue="gpu", queued_at=since, **fields)


def told_by(reader: Client, name: str, job_run: JobRun) -> str:
    answer: Any = reader.get(reverse(name, args=[job_run.pk]))
    assert answer.status_code == 200
    return b"".join(answer.streaming_content).decode()


def states_in(data: bytes) -> list[dict[str, Any]]:
    events = [each.split("\n") for each in data.decode().split("\n\n")]
    told = [lines[1].removeprefix("data: ") for lines in events if lines[0] == "event: state"]
    return [json.loads(each) for each in told]


def test_the_log_says_that_no_runner_serves_the_queue(reader: Client) -> None:
    job_run = queued_for(90)
    assert told_by(reader, "job-run-log", job_run) == f"Waits for a runner. {WARNING}\n"
    assert WARNING in told_by(reader, "job-run-log-stream", job_run)
    page = reader.get(job_run.get_absolute_url()).content.decode()
    assert f'<span class="control">Waits for a runner. {WARNING}</span>' in page

    builders.a_runner(queues=["gpu"])
    assert told_by(reader, "job-run-log", job_run) == "Waits for a runner.\n"
    assert WARNING not in told_by(reader, "job-run-log-stream", job_run)


def test_a_job_that_waits_for_a_moment_is_no_reason_for_a_warning(reader: Client) -> None:
    assert told_by(reader, "job-run-log", queued_for(20)) == "Waits for a runner.\n"


def test_a_live_stream_says_it_when_it_becomes_true_and_when_it_ends() -> None:
    job_run = queued_for(20)
    feed = LogEvents(job_run.pk, number=None, after=-1, served=unserved_queues)
    [before] = states_in(feed.look().data)
    assert (before["warning"], before["instead_of_log"]) == ("", "Waits for a runner.")
    assert feed.look().data == b""

    long_ago = timezone.now() - timedelta(seconds=90)
    JobRun.objects.filter(pk=job_run.pk).update(queued_at=long_ago)
    [now] = states_in(feed.look().data)
    assert now["warning"] == WARNING
    assert now["instead_of_log"] == f"Waits for a runner. {WARNING}"
    assert feed.look().data == b""

    builders.a_runner(queues=["gpu"])
    [after] = states_in(feed.look().data)
    assert (after["warning"], after["instead_of_log"]) == ("", "Waits for a runner.")


def test_the_log_of_an_attempt_is_the_jobs_own(reader: Client) -> None:
    job_run = queued_for(90)
    attempt = builders.an_attempt(job_run, "failed")
    builders.a_log(attempt, "what the job wrote\n")
    assert told_by(reader, "job-run-log", job_run) == "what the job wrote\n"
    [state] = states_in(
        LogEvents(job_run.pk, number=1, after=-1, served=unserved_queues).look().data
    )
    assert (state["warning"], state["instead_of_log"]) == (WARNING, None)
