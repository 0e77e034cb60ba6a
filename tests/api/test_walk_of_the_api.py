from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from products.models import Product
from runs.models import BeltRun, JobRun
from tests import builders
from tests.api.world import Tenant, a_tenant, api_routes, path_of

PUBLIC = {"/api/v1/schema/"}
ACTIONS = ("start/", "cancel/", "rerun/")
SHARED = {"/api/v1/", "/api/v1/docs/", "/api/v1/schema/", "/api/v1/runners/"}
METHODS = ("get", "post", "put", "patch", "delete", "options")


@pytest.fixture
def ours(db: None) -> Tenant:
    return a_tenant("ours")


@pytest.fixture
def theirs(db: None) -> Tenant:
    return a_tenant("theirs")


def routes() -> list[str]:
    return [route for route in api_routes() if "runners/<" not in route]


def token(tenant: Tenant, **options: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {builders.a_token(tenant.user, **options)}"}


def text_of(response: Any) -> str:
    content = b"".join(response.streaming_content) if response.streaming else response.content
    return content.decode()


def test_the_walk_sees_the_whole_api() -> None:
    assert len(routes()) > 25
    assert "api/v1/job-runs/<uuid:pk>/log/stream/" in routes()


@pytest.mark.parametrize("method", METHODS)
def test_nothing_answers_the_anonymous(client: Client, ours: Tenant, method: str) -> None:
    for route in routes():
        path = path_of(route, ours)
        response = getattr(client, method)(path)
        allowed = {200, 405} if path in PUBLIC else {401}
        assert response.status_code in allowed, path


@pytest.mark.parametrize("method", METHODS)
def test_nothing_of_others_is_seen_or_moved(ours: Tenant, theirs: Tenant, method: str) -> None:
    client = Client(headers=token(theirs, scopes=["run"]))
    before = BeltRun.objects.count()
    for route in routes():
        path = path_of(route, ours)
        response = getattr(client, method)(path, content_type="application/json")
        text = text_of(response)
        if "<" in route:
            assert response.status_code in (404, 405, 200), path
            assert response.status_code != 200 or method == "options", path
        assert "ours" not in text.replace(path, ""), path
    assert BeltRun.objects.count() == before
    assert not JobRun.objects.filter(cancel_requested_at__isnull=False).exists()


def test_what_one_may_see_is_there(ours: Tenant) -> None:
    client = Client(headers=token(ours))
    for route in routes():
        if route.endswith(ACTIONS):
            continue
        response = client.get(path_of(route, ours))
        assert response.status_code == 200, route
        assert text_of(response)


def test_a_token_that_only_reads_starts_and_cancels_nothing(ours: Tenant) -> None:
    client = Client(headers=token(ours, scopes=["read"]))
    before = BeltRun.objects.count()
    for route in routes():
        for method in ("post", "put", "patch", "delete"):
            path = path_of(route, ours)
            response = getattr(client, method)(path, data={}, content_type="application/json")
            expected = {403} if route.endswith(ACTIONS) else {405}
            assert response.status_code in expected, (method, path)
    assert BeltRun.objects.count() == before
    assert not JobRun.objects.filter(cancel_requested_at__isnull=False).exists()


def test_a_token_for_one_product_shows_nothing_of_another(ours: Tenant, theirs: Tenant) -> None:
    boss = builders.a_user("boss", staff=True)
    text = builders.a_token(boss, scopes=["run"], products=[theirs.product])
    client = Client(headers={"Authorization": f"Bearer {text}"})
    for route in routes():
        path = path_of(route, ours)
        method = "post" if route.endswith(ACTIONS) else "get"
        response = getattr(client, method)(path, content_type="application/json")
        assert "<" not in route or response.status_code == 404, path
        assert "ours" not in text_of(response).replace(path, ""), path


def test_who_may_only_look_may_not_act(ours: Tenant) -> None:
    viewer = builders.a_member(ours.product, "viewer")
    text = builders.a_token(viewer, scopes=["run"])
    client = Client(headers={"Authorization": f"Bearer {text}"})
    for route in routes():
        path = path_of(route, ours)
        if route.endswith(ACTIONS):
            response = client.post(path, data={}, content_type="application/json")
            assert response.status_code == 403, path
            assert "operator" in response.json()["message"]
        elif "<" in route:
            assert client.get(path).status_code == 200, path


def test_reading_changes_nothing(ours: Tenant) -> None:
    client = Client(headers=token(ours, scopes=["run"]))
    before = list(BeltRun.objects.values()) + list(JobRun.objects.values())
    for route in routes():
        client.get(path_of(route, ours))
        client.head(path_of(route, ours))
        client.options(path_of(route, ours))
    assert list(BeltRun.objects.values()) + list(JobRun.objects.values()) == before
    assert Product.objects.count() == 1
