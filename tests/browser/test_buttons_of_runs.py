"""Starting, cancelling and repeating by the buttons of the pages, with and without a script."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from products.models import Product
from runners.querysets import living_runners
from runs.models import BeltRun
from tests.browser.living import LiveSite, Visitor, a_person
from tests.engine import publish_text
from tests.waiting import until

pytestmark = pytest.mark.processes

PATIENCE_S = 120.0
BELT = "/products/steps/belts/walk/"
FILE = """
    product: steps
    belts:
      - name: walk
        jobs:
          - name: steady
            commands: STEP="$STRIDE <b>bold</b>"
            outputs:
              - STEP
          - name: slow
            env:
              STEP: ${steady.STEP}
            commands: |
              printf '\\033[31mfirst of %s\\033[0m\\n' "$STEP"
              sleep 3
              echo second
              sleep 600
          - name: never
            inputs: slow
            commands: "true"
    """


def test_a_person_starts_watches_cancels_and_repeats(browser: Browser, site: LiveSite) -> None:
    publish_text(FILE)
    a_person("ada", *Product.objects.all())
    site.start()
    until(living_runners().exists, "the runner has come", patience_s=PATIENCE_S)
    ada = Visitor(browser, site.url)
    page = ada.page
    ada.log_in("ada", "not this")
    expect(page.get_by_role("alert")).to_contain_text("name or the password is wrong")
    ada.log_in("ada")

    # A mistake in the form is shown in it, and what was written stays.
    ada.go(BELT)
    page.get_by_label("Parameters").fill("not a parameter")
    page.get_by_role("button", name="Start walk").click()
    expect(page.get_by_role("alert")).to_contain_text("Line 1 is not NAME=value.")
    ada.complaints.clear()  # the answer was 400, of which browsers tell
    page.get_by_label("Parameters").fill("STRIDE=long")
    page.get_by_role("button", name="Start walk").click()
    expect(page.get_by_role("heading", name="#1")).to_be_visible()

    # The log of the running job grows while it is looked at.
    expect(page.locator(".jobs .state")).to_have_text(["succeeded", "running", "waiting"])
    page.get_by_role("link", name="slow", exact=True).click()
    log = page.locator("#log")
    expect(log).to_contain_text("first of long <b>bold</b>")
    expect(log.locator(".sgr-fg-1")).to_have_text("first of long <b>bold</b>")
    ada.mark()
    expect(log).to_contain_text("second")
    assert ada.is_marked()

    # It is cancelled, and what waited for it says so.
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("The job run is being cancelled.")).to_be_visible()
    expect(page.locator("#standing .state")).to_have_text("cancelled")
    page.get_by_role("link", name="#1", exact=True).click()
    expect(page.locator(".title > .state")).to_have_text("cancelled")
    expect(page.locator(".jobs .state")).to_have_text(["succeeded", "cancelled", "skipped"])
    page.get_by_role("link", name="never", exact=True).click()
    expect(page.locator("#log")).to_have_text("This job waits for job slow, which was cancelled.")
    page.go_back()

    # What failed is repeated as a second round, which keeps the rest.
    page.get_by_role("button", name="Rerun what failed").click()
    expect(page.get_by_role("heading", name="#1 round 2")).to_be_visible()
    expect(page.get_by_role("link", name="kept from #1")).to_be_visible()
    expect(page.locator(".jobs .state")).to_have_text(["succeeded", "running", "waiting"])
    ada.mark()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".title > .state")).to_have_text("cancelled")
    expect(page.get_by_role("button", name="Rerun", exact=True)).to_be_visible()
    assert ada.complaints == []

    without_a_script(browser, site)


def without_a_script(browser: Browser, site: LiveSite) -> None:
    """The same person with a browser that runs no script, on a narrow screen."""
    ada = Visitor(browser, site.url, java_script_enabled=False)
    page = ada.page
    ada.log_in("ada")
    expect(page.get_by_role("link", name=re.compile("^steps.walk #1")).first).to_be_visible()
    ada.go(BELT)
    page.get_by_role("button", name="Start walk").click()
    expect(page.get_by_role("heading", name="#2")).to_be_visible()
    # The page loads itself again.
    expect(page.locator(".jobs .state")).to_have_text(["succeeded", "running", "waiting"])
    page.get_by_role("link", name="slow", exact=True).click()
    expect(page.locator("#log")).to_contain_text("first of  <b>bold</b>")
    page.get_by_role("link", name="#2", exact=True).click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".title > .state")).to_have_text("cancelled")
    assert BeltRun.objects.get(number=2).state == "cancelled"
    assert ada.complaints == []
