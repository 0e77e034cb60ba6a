"""Pages of products: the problems of a belt file, and the last run of each product."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from belts.commit_files import store_commit_file
from belts.spec import parse_belt_text
from products.models import Product
from tests import builders

pytestmark = [pytest.mark.django_db, pytest.mark.database]

BROKEN = b"product: small\nbelst:\n  - <b>name</b>: build\n"


def test_a_broken_file_is_shown_with_the_offending_lines() -> None:
    product = builders.a_product("small", managed_by=Product.Manager.FILE)
    problems = parse_belt_text(BROKEN).problems
    store_commit_file(product, "a" * 40, data=BROKEN, problems=problems, definition=None)
    client = Client()
    client.force_login(builders.a_user("boss", staff=True))

    page = client.get(product.get_absolute_url()).content.decode()

    assert "The last good definition stays in use" in page
    assert "line 2:1:" in page
    assert '<pre class="excerpt">belst:</pre>' in page
    assert "Did you mean &quot;belts&quot;?" in page
    assert "<b>" not in page


def test_products_are_listed_with_their_last_run(client: Client) -> None:
    web, image = builders.a_product("web"), builders.a_product("image")
    test = builders.a_belt("test", product=web)
    builders.a_belt_run({"a": "succeeded"}, belt=test)
    builders.a_belt_run({"a": "succeeded"}, belt=builders.a_belt("release", product=web))
    last = builders.a_belt_run({"a": "failed"}, belt=test)
    client.force_login(builders.a_user("boss", staff=True))

    page = client.get("/products/")
    admin_page = client.get(reverse("admin:products_product_changelist")).content.decode()
    rows = {
        row["name"]: row["last_run"] for row in client.get("/api/v1/products/").json()["results"]
    }
    one = client.get("/api/v1/products/web/").json()

    assert page.context["last_runs"] == {web.pk: last}
    assert f'href="{last.get_absolute_url()}" title="Last run: test #2"' in page.content.decode()
    assert "no runs" in page.content.decode()
    assert f">test #2: {last.state}</a>" in admin_page
    assert (rows["web"]["id"], rows["web"]["state"]) == (str(last.pk), last.state)
    assert rows["image"] is None
    assert one["last_run"] == rows["web"]
    assert image.pk not in page.context["last_runs"]
