from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from django.urls import get_resolver, reverse

from tests import builders
from tests.api.world import all_routes

pytestmark = pytest.mark.django_db

TEMPLATES = Path(settings.BASE_DIR) / "templates"


def test_every_address_that_a_template_names_exists() -> None:
    names = {
        name
        for path in TEMPLATES.rglob("*.html")
        for name in re.findall(r"{% url '([^']+)'", path.read_text())
    }
    assert len(names) > 10
    known = get_resolver().reverse_dict
    assert [name for name in names if ":" not in name and name not in known] == []


def test_no_two_addresses_have_one_name() -> None:
    names = [pattern.name for route, pattern in all_routes() if not route.startswith("admin/")]
    given = [name for name in names if name]
    assert len(set(given)) == len(given)


def test_health_needs_no_login(client: Client) -> None:
    for path in ("/healthz", "/readyz"):
        response = client.get(path)
        assert response.status_code == 200
        assert response["Content-Type"].startswith("text/plain")
        assert client.post(path).status_code == 405


def test_pages_ask_who_one_is(client: Client) -> None:
    for name in ("home", "products", "runners"):
        response = client.get(reverse(name))
        assert response.status_code == 302
        assert response["Location"] == f"/login/?next={reverse(name)}"


def test_one_logs_in_and_out(client: Client) -> None:
    user = builders.a_user("ada")
    user.set_password("kestrel-9-flies")
    user.save()
    given = {"username": "ada", "password": "kestrel-9-flies"}
    response = client.post("/login/", given)
    assert (response.status_code, response["Location"]) == (302, "/")
    assert client.get("/").status_code == 200
    assert client.get("/logout/").status_code == 405
    response = client.post("/logout/")
    assert (response.status_code, response["Location"]) == (302, "/login/")
    assert client.get("/").status_code == 302


def test_guessing_a_password_makes_one_wait(client: Client) -> None:
    given = {"username": "bob", "password": "wrong"}
    codes = [client.post("/login/", given).status_code for _ in range(7)]
    assert codes == [200] * 5 + [429] * 2


def test_the_schema_of_the_belt_file_is_for_every_editor(client: Client) -> None:
    response = client.get("/schema")
    assert response.status_code == 200
    assert response["Access-Control-Allow-Origin"] == "*"
    assert response.json()["$schema"]


def test_metrics_are_for_staff(client: Client) -> None:
    assert client.get("/metrics").status_code == 401
    client.force_login(builders.a_user())
    assert client.get("/metrics").status_code == 403
    client.force_login(builders.a_user(staff=True))
    response = client.get("/metrics")
    assert response.status_code == 200
    assert "conveyor_outbox_due 0" in response.content.decode()


def test_what_is_not_there_is_said_in_a_sentence(client: Client) -> None:
    client.force_login(builders.a_user())
    page = client.get("/nowhere/")
    assert page.status_code == 404
    assert "This page does not exist" in page.content.decode()
    api = client.get("/api/v1/nowhere/")
    assert api.status_code == 404
    assert api.json()["code"] == "not-found"


def test_a_stale_form_is_said_to_be_stale() -> None:
    client = Client(enforce_csrf_checks=True)
    response = client.post("/login/", {"username": "ada", "password": "x"})
    assert response.status_code == 403
    assert "form has expired" in response.content.decode()


def test_the_admin_is_there(client: Client) -> None:
    client.force_login(builders.a_user(staff=True))
    assert client.get("/admin/").status_code == 200


@pytest.mark.django_db
def test_a_token_for_some_products_reads_no_metrics_of_all(client: Client) -> None:
    boss = builders.a_user("boss", staff=True)
    bound = builders.a_token(boss, products=[builders.a_product()])
    for token, status in ((bound, 403), (builders.a_token(boss), 200)):
        headers = {"Authorization": f"Bearer {token}"}
        assert client.get("/metrics", headers=headers).status_code == status
