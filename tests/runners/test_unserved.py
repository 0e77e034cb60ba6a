"""The sentence about a queue that no runner serves names the cause."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from runners.unserved import unserved_queues
from tests import builders

pytestmark = [pytest.mark.django_db, pytest.mark.database]

WANTED = ("gpu", 2)
START = "Start one with: manage.py runner --queues gpu"
LONG_AGO = timedelta(days=1)

CAUSES: list[tuple[dict[str, Any], str]] = [
    ({"queues": ["other"]}, f"No runner serves queue gpu. {START}"),
    ({"said": "offline"}, f"No runner serves queue gpu now. The last was big. {START}"),
    ({"said": "draining"}, f"Runner big of queue gpu is draining. {START}"),
    (
        {"trouble": "Only 3 MiB are free."},
        "Runner big of queue gpu claims no job now. Only 3 MiB are free.",
    ),
    (
        {"protocol": 1},
        "The runners of queue gpu are of an older version, which cannot run this job. "
        "Upgrade them.",
    ),
]


@pytest.mark.parametrize(("fields", "sentence"), CAUSES)
def test_sentence_names_the_cause(fields: dict[str, Any], sentence: str) -> None:
    builders.a_runner("big", **{"queues": ["gpu"], **fields})
    assert unserved_queues([WANTED]) == {WANTED: sentence}


def test_silent_runner_has_stopped() -> None:
    builders.a_runner("big", queues=["gpu"], heartbeat_at=timezone.now() - LONG_AGO)
    assert unserved_queues([WANTED])[WANTED].endswith(f"The last was big. {START}")


def test_served_queue_has_no_sentence() -> None:
    builders.a_runner("full", queues=["gpu"], trouble="Only 3 MiB are free.")
    builders.a_runner("big", queues=["gpu", "default"])
    assert unserved_queues([WANTED, ("default", 1)]) == {}
