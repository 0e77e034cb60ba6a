"""/metrics as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as read_text

from runs.models import JobRun
from tests import builders

pytestmark = [pytest.mark.django_db, pytest.mark.database]

#: Each character that the format escapes.
QUEUE = 'a"b\\c\nd'
TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
OF_PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
Read = Callable[[str], Iterable[Metric]]


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(builders.a_user(staff=True))
    return client


def samples(metrics: Iterable[Metric]) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return values by metric and labels' values."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for metric in metrics
        for sample in metric.samples
    }


@pytest.mark.parametrize(
    ("accept", "content_type", "read"),
    [
        ("", TEXT, read_text),
        ("*/*", TEXT, read_text),
        ("application/json", TEXT, read_text),
        ("text/plain; version=nonsense", TEXT, read_text),
        ("text/plain; version=1.0.0; escaping=nonsense", "text/plain; version=1.0.0", read_text),
        ("application/openmetrics-text", OPENMETRICS, read_openmetrics),
        (OF_PROMETHEUS, OPENMETRICS, read_openmetrics),
    ],
)
def test_metrics_are_read_by_the_library(
    staff: Client, accept: str, content_type: str, read: Read
) -> None:
    run = builders.a_belt_run({"compile": "queued"})
    JobRun.objects.filter(belt_run=run).update(queue=QUEUE, queued_at=timezone.now())
    builders.a_runner()

    answer = staff.get("/metrics", headers={"Accept": accept})
    found: dict[Any, float] = samples(read(answer.content.decode()))

    assert (answer.status_code, answer["Content-Type"].startswith(content_type)) == (200, True)
    assert found["conveyor_queue_length", (QUEUE,)] == 1
    assert found["conveyor_job_runs", ("queued",)] == 1
    assert found["conveyor_runners", ("online",)] == 1
    assert found["conveyor_slots", ()] == 2
    assert {name for name, _ in found} == {
        "conveyor_belt_runs",
        "conveyor_job_runs",
        "conveyor_outbox_age_seconds",
        "conveyor_outbox_due",
        "conveyor_queue_age_seconds",
        "conveyor_queue_length",
        "conveyor_runners",
        "conveyor_slots",
    }


def test_refusal_is_a_comment(client: Client) -> None:
    answer = client.get("/metrics", headers={"Accept": OF_PROMETHEUS})
    assert (answer.status_code, answer["Content-Type"]) == (401, "text/plain; charset=utf-8")
    assert list(read_text(answer.content.decode())) == []
