"""What the API refuses is told with the thing that it is about and with what would work."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from rest_framework.exceptions import ParseError, PermissionDenied, Throttled
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from conveyor_site.api.views import ApiRoot
from conveyor_site.api_errors import handle_exception
from tests import builders

pytestmark = [pytest.mark.django_db]

JSON = "application/json"
RUNS = "/api/v1/job-runs/"
READS = "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/api/", "There is nothing at /api/. The API starts at /api/v1/."),
        ("/api/v2/belts/", "There is nothing at /api/v2/belts/. The API starts at /api/v1/."),
        (
            "/api/v1/no/",
            "There is nothing at /api/v1/no/. All addresses are listed at /api/v1/docs/.",
        ),
        (
            f"{RUNS}?format=xml",
            "The format 'xml' does not exist. Leave format out, or use json or api.",
        ),
        (
            f"{RUNS}?cursor=cD1ub3QtYW4taWQ=",
            "This cursor is not from a page of this list. Start again without a cursor.",
        ),
    ],
)
def test_what_is_not_there(caller: Client, path: str, sentence: str) -> None:
    response = caller.get(path)
    assert (response.status_code, response.json()["message"]) == (404, sentence)


def test_a_method_that_an_address_does_not_take(caller: Client, start: str) -> None:
    said = caller.delete(RUNS).json()["message"]
    assert said == f"{RUNS} does not accept DELETE. Use {READS}."
    assert caller.get(start).json()["message"].endswith("does not accept GET. Use POST, OPTIONS.")


@pytest.mark.parametrize(
    ("kind", "told"), [("text/plain", "has the type text/plain, which"), ("", "has no type")]
)
def test_a_body_that_is_no_json(caller: Client, start: str, kind: str, told: str) -> None:
    response = caller.generic("POST", start, b"ref=main", content_type=kind)
    said = response.json()["message"]
    assert said.startswith(f"The body {told}")
    assert said.endswith("Send JSON with the header Content-Type: application/json.")


def test_bytes_that_are_no_text(caller: Client, start: str) -> None:
    response = caller.generic("POST", start, b'{"ref": "\xff"}', content_type=JSON)
    said = response.json()["message"]
    assert said == "The body is not JSON that can be read: it is not UTF-8 at byte 9."


def test_a_form_that_is_not_had(caller: Client) -> None:
    response = caller.get(RUNS, headers={"Accept": "text/csv"})
    said = response.json()["message"]
    assert said.endswith("Use application/json or text/html.")


def test_a_login_without_its_csrf_token_is_told_of_it_and_of_tokens(start: str) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(builders.a_user("staff", staff=True))
    response = browser.post(start, b"{}", content_type=JSON)
    assert response.status_code == 403
    said = response.json()["message"]
    assert "requires the header X-CSRFToken (CSRF cookie not set)" in said
    assert said.endswith("Programs send a token as Authorization: Bearer cvy_... instead.")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            Throttled(wait=7),
            "Too many requests to /api/v1/. Try again in 7 seconds.",
        ),
        (Throttled(), "Too many requests to /api/v1/. Try again in a while."),
        (PermissionDenied(), "You may not send POST to /api/v1/."),
        (PermissionDenied("Ask Ada."), "Ask Ada."),
        (ParseError(), "The body cannot be read. Send JSON, such as {}."),
    ],
)
def test_what_the_framework_may_say(error: Exception, sentence: str) -> None:
    request = Request(APIRequestFactory().post("/api/v1/"))
    response = handle_exception(error, {"view": ApiRoot(), "request": request})
    assert response is not None
    assert response.data["message"] == sentence
    assert set(response.data) == {"code", "message", "problems"}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("[]", "Send an object of names and values, such as {}."),
        ("null", "Send an object of names and values, such as {}."),
        ('{"ref": 1}', "Send a text in quotes."),
        ('{"ref": null}', "Send a text in quotes, or leave the key out."),
        ('{"ref": "a\\u0000b"}', "Leave out the character U+0000, which no text may hold."),
        ('{"ref": "\\ud800"}', "Leave out the character U+D800, which no text may hold."),
        (
            '{"parameters": {"S\\ud800": "y"}}',
            "Leave out the character U+D800, which no text may hold.",
        ),
        (
            '{"parameters": {"S": "\\ud800"}}',
            "Leave out the character U+D800, which no text may hold.",
        ),
        (f'{{"ref": "{"r" * 501}"}}', "Send at most 500 characters."),
        ('{"parameters": []}', 'Send an object of names and texts, such as {"VERSION": "1.2"}.'),
        ('{"continue_downstream": "no"}', "Send true or false without quotes."),
    ],
)
def test_what_a_body_lacks_is_told_with_what_would_do(
    caller: Client, start: str, body: str, sentence: str
) -> None:
    response = caller.generic("POST", start, body.encode(), content_type=JSON)
    [problem] = response.json()["problems"]
    assert problem["message"] == sentence


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("state=gone", "Send one of waiting, queued, starting, running, "),
        ("belt_run=7x", "Send an id as the API shows it, such as "),
        ("queue=", "The value is empty. Send a text, or leave the key out."),
    ],
)
def test_what_a_query_lacks_is_told_with_what_would_do(
    caller: Client, query: str, sentence: str
) -> None:
    [problem] = caller.get(f"{RUNS}?{query}").json()["problems"]
    assert problem["message"].startswith(sentence)


def test_the_number_of_an_attempt_begins_with_one(caller: Client) -> None:
    path = f"{RUNS}{builders.a_job_run().pk}/log/"
    answers: list[Any] = [caller.get(path, {"attempt": each}) for each in ("0", "x", "7")]
    assert answers[0].json()["problems"][0]["message"] == "Send a number of at least 1."
    assert answers[1].json()["problems"][0]["message"] == "Send a whole number in digits."
    assert answers[2].json()["message"] == "compile has no attempt 7. It has no attempt yet."


def test_a_name_that_the_site_does_not_answer_to(
    caller: Client, caplog: pytest.LogCaptureFixture
) -> None:
    response = caller.get("/products/", headers={"Host": "elsewhere.example\n"})
    assert response.status_code == 400
    page = response.content.decode()
    assert "The site is not configured for this host name." in page
    assert "elsewhere" not in page
    [said] = [each for each in caplog.records if each.name.startswith("django")]
    line = logging.Formatter("{levelname} {message}", style="{").format(said)
    assert line.startswith("WARNING A request for the host 'elsewhere.example\\n' was refused")
    assert "CONVEYOR_ALLOWED_HOSTS" in line
    assert "CONVEYOR_PUBLIC_URL" in line
    assert "\n" not in line


def test_the_documentation_has_a_sentence_of_its_own_for_each_operation() -> None:
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]  # untyped package
    described = {
        f"{method.upper()} {path}": operation["description"]
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    }
    told = described.values()
    assert sorted(set(told)) == sorted(told)
    of_one = described["GET /api/v1/attempts/{id}/"]
    assert of_one == "An attempt of a job run, with its runner, result and reason."
    assert described["GET /api/v1/runners/{id}/"] == "A runner, by its id."


def test_the_page_of_a_row_says_what_the_row_is(caller: Client) -> None:
    path = f"{RUNS}{builders.a_job_run().pk}/"
    page = caller.get(path, headers={"Accept": "text/html"}).content.decode()
    assert "A job run with its values, attempts and changes of state." in page
    assert "newest first" in caller.get(RUNS, headers={"Accept": "text/html"}).content.decode()


def test_each_key_of_a_problem_is_described(caller: Client) -> None:
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]  # untyped package
    described = schema["components"]["schemas"]["ErrorProblem"]
    [problem] = caller.get(f"{RUNS}?colour=red").json()["problems"]
    assert set(described["properties"]) == set(described["required"]) == set(problem)
