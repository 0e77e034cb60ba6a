"""Answers for one caller must not be stored in caches."""

from __future__ import annotations

import pytest
from django.test import Client

from tests import builders

pytestmark = pytest.mark.django_db

PRIVATE = "private, no-store"


@pytest.fixture
def person(client: Client) -> Client:
    """A logged-in member of staff."""
    client.force_login(builders.a_user(staff=True))
    return client


@pytest.mark.parametrize("path", ["/", "/products/", "/api/v1/products/", "/no/such/page"])
def test_answer_to_a_person_is_stored_nowhere(person: Client, path: str) -> None:
    assert person.get(path)["Cache-Control"] == PRIVATE


def test_log_is_stored_nowhere(person: Client) -> None:
    attempt = builders.an_attempt()
    builders.a_log(attempt, "text")
    answer = person.get(f"/api/v1/job-runs/{attempt.job_run_id}/log/")
    assert (answer.status_code, answer["Cache-Control"]) == (200, PRIVATE)


def test_answer_to_a_program_is_stored_nowhere(client: Client) -> None:
    token = builders.a_token(builders.a_user(staff=True))
    answer = client.get("/api/v1/products/", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer["Cache-Control"]) == (200, PRIVATE)


@pytest.mark.parametrize("path", ["/schema", "/static/conveyor/style.css"])
def test_public_answer_may_be_stored(person: Client, path: str) -> None:
    assert "no-store" not in person.get(path)["Cache-Control"]
