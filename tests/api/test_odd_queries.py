"""Odd values of filters and odd ids in paths are answered with a sentence, never by 500."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import resolve

from products.api.requests import NoFilters
from tests import builders
from tests.api.world import a_tenant, api_routes, path_of

pytestmark = [pytest.mark.django_db, pytest.mark.database]

#: Values as they stand in a query, already quoted.
VALUES = (
    *("", "%00", "%ff", "%ed%a0%80", "%F0%9F%92%A9", "%E2%80%AE", "'", "%22", "%", "null", "true"),
    *("-1", "0", "1e999", "NaN", "9" * 30, "x" * 5000, "..%2f", "%7B%7D", "%5B%5D", "%0A", "+"),
    *("00000000-0000-0000-0000-000000000000", "{019a2f4e7c1d7e558c0b2d1f3a4b5c6d}"),
)
IDS = (
    *(
        "x",
        "%00",
        "%ff",
        "0",
        "-1",
        "9" * 400,
        "null",
        "%F0%9F%92%A9",
        "..%2F..",
        "%0A",
        "%E2%80%AE",
    ),
    *("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
    *("019A2F4E-7C1D-7E55-8C0B-2D1F3A4B5C6D", "019a2f4e7c1d7e558c0b2d1f3a4b5c6d"),
)
ROUTES = sorted(set(api_routes()))
LISTS = sorted(f"/{route}" for route in ROUTES if "<" not in route and "s/" in route[7:])
WITH_IDS = [route for route in ROUTES if "<" in route]
OF_ALL_LISTS = ("page_size", "cursor", "format")


def filters_of(path: str) -> list[str]:
    """Return the parameters that a list reads."""
    view: Any = resolve(path).func
    kind = getattr(view.cls, "filters", NoFilters)
    return [*kind().fields, *OF_ALL_LISTS]


def is_sentence(answer: Any) -> bool:
    given = answer.json()
    return bool(re.search(r"\w.*\.", given["message"])) and set(given) == {
        "code",
        "message",
        "problems",
    }


def test_lists_of_the_api_are_known() -> None:
    assert len(LISTS) >= 12
    assert "/api/v1/belt-runs/" in LISTS


@pytest.mark.parametrize("path", LISTS)
def test_odd_filters_are_answered_with_a_sentence(caller: Client, path: str) -> None:
    a_tenant("ours")
    builders.a_runner()
    queries = [f"{name}={value}" for name in filters_of(path) for value in VALUES]
    answers = {query: caller.get(f"{path}?{query}") for query in queries}
    codes = {query: answer.status_code for query, answer in answers.items()}
    refused = {query: each for query, each in answers.items() if each.status_code != 200}
    assert {query: code for query, code in codes.items() if code not in (200, 400, 404)} == {}
    assert [query for query, each in refused.items() if not is_sentence(each)] == []


@pytest.mark.parametrize("route", WITH_IDS)
def test_odd_ids_are_answered_with_a_sentence(caller: Client, route: str) -> None:
    tenant = a_tenant("ours")
    tenant.ids["runners"] = builders.a_runner().pk
    own = path_of(route, tenant)
    first = re.sub(r"<.*?>", "\0", route, count=1).index("\0") + 1
    rest = own[first:].partition("/")[2]
    paths = [f"{own[:first]}{quoted}/{rest}" for quoted in IDS]
    for method in (caller.get, caller.post):
        answers = {path: method(path) for path in paths}
        codes = {path: answer.status_code for path, answer in answers.items()}
        assert {path: code for path, code in codes.items() if code not in (404, 405)} == {}
        assert [path for path, each in answers.items() if not is_sentence(each)] == []
