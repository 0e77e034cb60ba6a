"""The page that shows the API's description, in a browser under the site's content policy."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests import builders
from tests.browser.living import NARROW, WIDE, Visitor

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_description_is_shown_without_requests_elsewhere(
    browser: Browser, live_server: Any, size: Any
) -> None:
    builders.a_product("gem")
    visitor = Visitor(browser, live_server.url, viewport=size)
    visitor.log_in_at_once(builders.a_user(staff=True))
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url))

    assert visitor.go("/api/v1/docs/") == 200

    operation = visitor.page.locator(
        "#operations-products-products_list, [id*=products_list]"
    ).first
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()

    expect(operation.locator(".responses-wrapper")).to_contain_text('"name": "gem"')
    assert not visitor.overflows()
    assert visitor.complaints == []
    elsewhere = [url for url in asked if not url.startswith((live_server.url, "data:"))]
    assert elsewhere == []
