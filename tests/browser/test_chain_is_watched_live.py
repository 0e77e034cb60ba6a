"""A merge travels through three products while a person watches the pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from conveyor_site.demo.repositories import make_repositories, merge_a_change
from conveyor_site.demo.site import import_products
from products.models import Product, Source
from runs.models import BeltRun
from tests.browser.living import LiveSite, Visitor, a_person
from tests.waiting import until

pytestmark = [pytest.mark.processes, pytest.mark.database]

PATIENCE_S = 120.0


def all_are_seen() -> bool:
    return not Source.objects.filter(first_seen_at=None).exists()


def test_a_merge_is_watched_through_three_products_without_a_reload(
    browser: Browser, site: LiveSite, folder: Path
) -> None:
    repositories = make_repositories(folder / "repositories")
    import_products(repositories)
    a_person("ada", *Product.objects.all())
    site.start()
    until(all_are_seen, "the repositories are looked at", patience_s=PATIENCE_S)
    ada = Visitor(browser, site.url)
    page = ada.page
    ada.log_in("ada")
    expect(page.get_by_text("Nothing has run yet.")).to_be_visible()
    ada.mark()

    commit = merge_a_change(repositories[0])
    version = f"1.1.0+{commit[:8]}"

    # Home shows the run as it begins.
    first = page.get_by_role("link", name="web-service.release #1").first
    expect(first).to_be_visible()
    assert ada.is_marked()
    first.click()

    the_release_goes_on(ada, version, commit)
    the_chain_goes_on_to_its_end(ada, version)

    # All of it is on the home page, in one line, and nothing was complained of.
    page.get_by_role("link", name="Conveyor", exact=True).click()
    chain = page.locator(".chains > li").first
    expect(chain.locator(".state")).to_have_text(["succeeded"] * 3)
    assert ada.complaints == []
    assert BeltRun.objects.count() == 3

    # Somebody who is a member of nothing sees nothing of it.
    a_stranger_sees_nothing(browser, site)


def the_release_goes_on(ada: Visitor, version: str, commit: str) -> None:
    """The belt run shows its jobs as they go on, and a job's page its log and values."""
    page = ada.page
    expect(page.get_by_role("heading", name="#1")).to_be_visible()
    expect(page.get_by_text(commit[:10], exact=True)).to_be_visible()
    ada.mark()
    job_states = page.locator(".jobs .state")
    expect(job_states).to_have_text(["succeeded"] * 4)
    expect(page.locator(".title .state")).to_have_text("succeeded")
    values = page.locator(".jobs > li").nth(2).locator(".out")
    expect(values.filter(has_text="VERSION = ").first).to_contain_text(f"VERSION = {version}")
    expect(page).to_have_title(re.compile("^succeeded"))
    down = page.get_by_role("link", name="image.build-image #1").first
    expect(down).to_be_visible()
    assert ada.is_marked()

    # A job's page has its log, its outputs, and who used them.
    page.get_by_role("link", name="package", exact=True).click()
    expect(page.locator("#log")).to_contain_text(f"This is web-service {version}.")
    expect(page.locator("#values")).to_contain_text("PACKAGE_SHA256")
    page.get_by_role("link", name="#1", exact=True).click()


def the_chain_goes_on_to_its_end(ada: Visitor, version: str) -> None:
    """From each run's page to what it started, and back up."""
    page = ada.page
    page.get_by_role("link", name="image.build-image #1").first.click()
    ada.mark()
    expect(page.locator(".jobs .state")).to_have_text(["succeeded"] * 3)
    expect(page.locator(".jobs")).to_contain_text(f"CONTAINS = web-service {version}")
    last = page.get_by_role("link", name="environment.deploy #1").first
    expect(last).to_be_visible()
    assert ada.is_marked()
    last.click()
    ada.mark()
    expect(page.locator(".jobs .state")).to_have_text(["succeeded"] * 2)
    shown = page.locator(".jobs")
    expect(shown).to_contain_text("GREETING = Hola, Conveyor!")
    expect(shown).to_contain_text(f"DEPLOYED_VERSION = {version}")
    expect(shown).to_contain_text(f"web-service.release.package.VERSION = {version}")
    expect(page.locator(".tree .state")).to_have_text(["succeeded"] * 3)
    assert ada.is_marked()
    page.get_by_role("link", name=re.compile("^Upstream: image.build-image #1")).click()
    expect(page.get_by_role("heading", name="#1")).to_be_visible()


def a_stranger_sees_nothing(browser: Browser, site: LiveSite) -> None:
    paths = [run.get_absolute_url() for run in BeltRun.objects.all()]
    run = BeltRun.objects.order_by("id")[0]
    jobs = list(run.job_runs.all())
    paths += [each.get_absolute_url() for each in jobs]
    paths += [f"/api/v1{path}" for path in paths]
    paths += [f"/api/v1/job-runs/{jobs[0].pk}/log/stream/", f"/api/v1/belt-runs/{run.pk}/stream/"]
    paths += ["/products/web-service/", "/products/web-service/belts/release/"]
    nobody = Visitor(browser, site.url)
    for path in paths:
        answer = nobody.page.request.get(f"{site.url}{path}", max_redirects=0)
        assert answer.status == (401 if path.startswith("/api/") else 302), path
    a_person("stranger")
    stranger = Visitor(browser, site.url)
    stranger.log_in("stranger")
    expect(stranger.page.get_by_text("No product is visible to you.")).to_be_visible()
    expect(stranger.page.get_by_text("Nothing has run yet.")).to_be_visible()
    for path in paths:
        assert stranger.page.request.get(f"{site.url}{path}").status == 404, path
