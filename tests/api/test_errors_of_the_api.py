from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from conveyor_site.asgi import application
from conveyor_site.body_limit import BodyLimit
from conveyor_site.database_url import sqlite_database
from products.api.fields import BODY_LIMIT
from runs.models import BeltRun
from tests import builders
from tests.own_database import OwnDatabase, connected_to

JSON = "application/json"
#: The id of no row; written out, since workers must name their tests alike.
NOBODYS = "00000000-0000-4000-8000-000000000000"


def code_of(response: Any, status: int) -> str:
    """Return the code of an error, after looking at its shape."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == JSON
    body = response.json()
    assert set(body) == {"code", "message", "problems"}
    assert body["message"].endswith((".", "..."))
    return str(body["code"])


@pytest.mark.parametrize(
    "path",
    [
        "/api/",
        "/api/v1/nothing/",
        "/api/v1/belts/not-an-id/",
        "/api/v1/belts/not-an-id/start/",
        "/api/v1/belts/%00/",
        "/api/v2/belts/",
        f"/api/v1/belt-runs/{NOBODYS}/",
        f"/api/v1/job-runs/{NOBODYS}/log/",
        "/api/v1/job-runs/?format=xml",
        "/api/v1/job-runs/?cursor=cD1ub3QtYW4taWQ=",
    ],
)
def test_what_is_not_there_is_one_shape(caller: Client, path: str) -> None:
    assert code_of(caller.get(path), 404) == "not-found"


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "=", "!!", "%00", "xyz", "bz0w", "bz0x", "cj0x", "cD0%3D", "cD1ub3QtYW4taWQ%3D"),
        # An id in another spelling, beside something else, or with an offset, decodes to one.
        "cD0wMDAwMDAwMDAwMDA0MDAwODAwMDAwMDAwMDAwMDAwMA==",
        "cD0wMDAwMDAwMC0wMDAwLTQwMDAtODAwMC0wMDAwMDAwMDAwMDA%3D!",
        "bz0xJnA9MDAwMDAwMDAtMDAwMC00MDAwLTgwMDAtMDAwMDAwMDAwMDAw",
        "cj0yJnA9MDAwMDAwMDAtMDAwMC00MDAwLTgwMDAtMDAwMDAwMDAwMDAw",
    ],
)
def test_cursor_that_no_page_gave_is_not_found(caller: Client, cursor: str) -> None:
    assert code_of(caller.get(f"/api/v1/job-runs/?cursor={cursor}"), 404) == "not-found"


def test_cursors_of_pages_lead_forth_and_back(caller: Client) -> None:
    for _ in range(3):
        builders.a_job_run()
    first = caller.get("/api/v1/job-runs/?page_size=2").json()
    second = caller.get(first["next"]).json()
    assert [len(page["results"]) for page in (first, second)] == [2, 1]
    assert caller.get(second["previous"]).json()["results"] == first["results"]


def test_a_path_without_its_slash_is_told_so(caller: Client) -> None:
    response = caller.post("/api/v1/belts", content_type=JSON)
    assert code_of(response, 404) == "not-found"
    assert "end with a slash" in response.json()["message"]


def test_a_method_that_is_not_there(caller: Client, start: str) -> None:
    assert code_of(caller.get(start), 405) == "request.method"
    assert code_of(caller.delete("/api/v1/products/"), 405) == "request.method"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "x"])
def test_only_json_is_read(caller: Client, start: str, kind: str) -> None:
    response = caller.generic("POST", start, b"ref=main", content_type=kind)
    assert code_of(response, 415) == "request.media-type"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b'{"ref": NaN}',
        b"[" * 100_000,
        b'{"ref": "\\ud800"}',
    ],
)
def test_json_that_cannot_be_read(caller: Client, start: str, body: bytes) -> None:
    response = caller.generic("POST", start, body, content_type=JSON)
    assert code_of(response, 400) in ("request.unreadable", "request.invalid")
    assert not BeltRun.objects.exists()


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"[]", ""),
        (b"null", ""),
        (b'"ref"', ""),
        (b'{"ref": 1}', "ref"),
        (b'{"ref": "a\\u0000b"}', "ref"),
        (b'{"refs": "main"}', "refs"),
        (b'{"parameters": {"A-B": "1"}}', "parameters.A-B"),
        (b'{"parameters": {"A": 1}}', "parameters.A"),
        (b'{"parameters": {"S\\ud800": "y"}}', "parameters.S\\ud800"),
        (b'{"parameters": {"S\\ud800": 1}}', "parameters.S\\ud800"),
        (b'{"S\\ud800": 1}', "S\\ud800"),
        (b'{"parameters": []}', "parameters"),
        (b'{"continue_downstream": "no"}', "continue_downstream"),
    ],
)
def test_values_that_cannot_be_are_named(
    caller: Client, start: str, body: bytes, path: str
) -> None:
    response = caller.generic("POST", start, body, content_type=JSON)
    assert code_of(response, 400) == "request.invalid"
    assert [each["path"] for each in response.json()["problems"]] == [path]


@pytest.mark.parametrize("size", ["0", "201", "-1", "1e3", "9" * 5000])
def test_a_page_of_no_size(caller: Client, size: str) -> None:
    response = caller.get("/api/v1/belts/", {"page_size": size})
    assert code_of(response, 400) == "request.invalid"


def test_of_endless_keys_and_parameters_some_are_named(caller: Client, start: str) -> None:
    names = [f"{number}parametr" for number in range(2000)]
    for body in (dict.fromkeys(names, ""), {"parameters": dict.fromkeys(names, "")}):
        response = caller.post(start, body, content_type=JSON)
        assert code_of(response, 400) == "request.invalid"
        assert 0 < len(response.json()["problems"]) <= 50


def test_a_body_that_is_too_large(caller: Client, start: str) -> None:
    body = b'{"ref": "' + b"a" * BODY_LIMIT + b'"}'
    response = caller.generic("POST", start, body, content_type=JSON)
    assert code_of(response, 413) == "request.too-large"


def test_a_token_that_is_none(db: None) -> None:
    for header in ("Bearer", "Bearer a b", "Bearer cvy_wrong", "Bearer \xff", "Token cvy_\xe9"):
        response = Client(headers={"Authorization": header}).get("/api/v1/belts/")
        assert code_of(response, 401) == "auth.failed"
        assert response["WWW-Authenticate"].startswith("Bearer")


def test_without_a_database_one_is_asked_to_come_again(
    tmp_path: Path, caller: Client, django_db_blocker: Any
) -> None:
    gone = OwnDatabase(sqlite_database(tmp_path / "no" / "such.sqlite3"), {})
    browser = Client(raise_request_exception=False)
    browser.force_login(builders.a_user("ada"))
    with connected_to(gone):
        answers = [caller.get("/api/v1/belts/"), browser.get("/api/v1/belts/")]
        page = browser.get("/products/")
        health, ready = Client().get("/healthz"), Client().get("/readyz")
    for response in answers:
        assert code_of(response, 503) == "database.unavailable"
        assert response["Retry-After"] == "5"
    assert (page.status_code, page["Retry-After"]) == (503, "5")
    assert "The database is not available at the moment." in page.content.decode()
    assert (health.status_code, ready.status_code) == (200, 503)


# Bodies that are refused before Django stores them


async def said_by(
    served: Any, *messages: dict[str, Any], headers: list[Any]
) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = []
    waiting = list(messages)

    async def receive() -> dict[str, Any]:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    await served(scope, receive, send)
    return said


def test_a_body_longer_than_the_site_takes_is_not_read() -> None:
    said = asyncio.run(said_by(application, headers=[(b"content-length", b"9" * 12)]))
    assert said[0]["status"] == 413
    assert b'"code": "request.too-large"' in said[1]["body"]


def test_a_body_of_untold_length_is_read_to_the_limit() -> None:
    seen: list[str] = []

    async def reader(scope: Any, receive: Any, send: Any) -> None:
        while not seen or seen[-1] != "http.disconnect":
            seen.append((await receive())["type"])

    parts = [{"type": "http.request", "body": b"1234", "more_body": True}] * 9
    asyncio.run(said_by(BodyLimit(reader, most=10), *parts, headers=[]))
    assert seen == ["http.request", "http.request", "http.disconnect"]
