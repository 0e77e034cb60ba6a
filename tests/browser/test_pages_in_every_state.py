"""Every page in a browser, wide and narrow, light and dark, with hostile and with large content."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Browser, expect

from products.models import Product
from runs.models import BeltRun, JobRun
from tests import builders
from tests.browser.living import NARROW, WIDE, Visitor

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]

LONG = "x" * 90
EVIL = "<script>complain()</script><img src=x onerror=complain()>\"'&lt;{{ 7 }}"
#: The times in which a page with a large log is there, and has gone through as much again while
#: it is open; on a busy machine, whose browser, server and test share two cores.
THERE_S = 10.0
FLOOD_S = 50.0
STATES = (
    "succeeded",
    "failed",
    "running",
    "queued",
    "waiting",
    "skipped",
    "cancelled",
    "errored",
    "starting",
)


@pytest.fixture
def boss(transactional_db: None) -> User:
    return builders.a_user("boss", staff=True)


@pytest.fixture
def world(boss: User) -> BeltRun:
    """A run with jobs in every state, and whatever pages may have to show, all of it hostile."""
    product = builders.a_product(LONG, description=EVIL, managed_by=Product.Manager.FILE)
    builders.a_source(product, url=f"https://git.example/{EVIL}", error=f"Cannot be read: {EVIL}")
    builders.a_trigger(product, [LONG], broken=EVIL, details={"branches": [EVIL]})
    builders.an_event(product, branch=EVIL, handled_at=timezone.now(), outcome=EVIL)
    problem = {"code": "x", "severity": "error", "message": EVIL, "hint": EVIL, "line": 3}
    builders.a_commit_file(product, problems=[problem], on_default_branch=True)
    jobs = {f"{state}-{LONG[:80]}": state for state in STATES} | {
        f"many-{index:02}": "queued" for index in range(30)
    }
    belt = builders.a_belt(LONG, product=product, jobs=list(jobs), description=EVIL)
    run = builders.a_belt_run(
        jobs, belt=belt, branch=EVIL, cause=EVIL[:400], parameters={"A": EVIL, "B": "y" * 5000}
    )
    early = timezone.now() - timedelta(minutes=5)
    JobRun.objects.filter(state="queued").update(queue=LONG[:60], queued_at=early)
    first, *others = run.job_runs.order_by("position")
    output = builders.an_output(first, "VALUE", EVIL)
    builders.an_output(first, "LONG", "z" * 30_000)
    for other in others[:8]:
        builders.a_consumption(other, output, reference=EVIL[:100], supplier_label=EVIL[:100])
        JobRun.objects.filter(pk=other.pk).update(message=EVIL)
    attempt = builders.an_attempt(first, "failed", message=EVIL, runner_name=EVIL)
    builders.a_log(
        attempt, f"{EVIL}\n\x1b[31m{EVIL}\x1b[0m \x1b]8;;javascript:complain()\x07link\n"
    )
    builders.a_log(attempt, b"\xff\xfe\xc3 \xe2\x80\xae rtl \x00\x08\r\nend", stream="stderr")
    down = builders.a_belt_run({"later": "skipped"}, upstream=run)
    builders.an_edge(run, down.belt, started=down, note="")
    builders.an_edge(run, belt, closed_at=timezone.now(), note=EVIL)
    builders.a_runner(LONG, host=EVIL, isolation_report=[EVIL])
    builders.a_fleet(description=EVIL)
    return run


def paths_of(run: BeltRun) -> list[str]:
    jobs = list(run.job_runs.order_by("position"))[: len(STATES)]
    api = [f"/api/v1{each.get_absolute_url()}" for each in (run, jobs[0])]
    return [
        "/",
        "/products/",
        "/runners/",
        run.belt.product.get_absolute_url(),
        run.belt.get_absolute_url(),
        run.get_absolute_url(),
        *(job.get_absolute_url() for job in jobs),
        "/api/v1/",
        "/api/v1/docs/",
        "/api/v1/belt-runs/",
        *api,
    ]


@pytest.mark.parametrize(
    ("size", "colours"), [(WIDE, "light"), (NARROW, "dark")], ids=["wide-light", "narrow-dark"]
)
def test_nothing_that_is_shown_acts_or_overflows(
    browser: Browser, live_server: Any, boss: User, world: BeltRun, size: Any, colours: str
) -> None:
    visitor = Visitor(browser, live_server.url, viewport=size, color_scheme=colours)
    visitor.log_in_at_once(boss)
    for path in paths_of(world):
        assert visitor.go(path) == 200, path
        assert not visitor.overflows(), path
        # Markup of what is shown would be elements; none has become one.
        assert visitor.page.locator("main img, main script").count() == 0, path
        assert visitor.complaints == [], path


def test_a_live_log_shows_text_as_text(
    browser: Browser, live_server: Any, boss: User, world: BeltRun
) -> None:
    job_run = world.job_runs.get(name__startswith="running")
    attempt = builders.an_attempt(job_run)
    builders.a_log(attempt, "begins\n")
    visitor = Visitor(browser, live_server.url)
    visitor.log_in_at_once(boss)
    visitor.go(job_run.get_absolute_url())
    log = visitor.page.locator("#log")
    expect(log).to_have_text("begins")

    builders.a_log(attempt, f"{EVIL}\n", b"\x1b[1;32mgr\xc3", b"\xbcn\x1b[0m \xff\n")

    expect(log).to_contain_text(EVIL)
    expect(log).to_contain_text("grün \\xff")
    expect(log.locator(".sgr-bold.sgr-fg-2").first).to_be_visible()
    assert log.locator("img, script").count() == 0
    assert visitor.complaints == []
    visitor.context.close()


def test_a_page_that_is_open_says_when_no_runner_serves_the_queue(
    browser: Browser, live_server: Any, boss: User
) -> None:
    job_run = builders.a_queued_job_run(queue="gpu", queued_at=timezone.now())
    visitor = Visitor(browser, live_server.url)
    visitor.log_in_at_once(boss)
    visitor.go(job_run.get_absolute_url())
    visitor.mark()
    log = visitor.page.locator("#log")
    expect(log).to_have_text("Waits for a runner.")

    early = timezone.now() - timedelta(minutes=5)
    JobRun.objects.filter(pk=job_run.pk).update(queued_at=early)

    expect(log).to_contain_text("Waits for a runner. No runner serves queue gpu.")
    expect(visitor.page.locator("#reason .warning")).to_contain_text("No runner serves queue gpu.")
    assert visitor.is_marked()
    assert visitor.complaints == []


def test_a_log_of_ten_megabytes_is_looked_at_quickly(
    browser: Browser, live_server: Any, boss: User, world: BeltRun
) -> None:
    job_run = world.job_runs.get(name__startswith="running")
    attempt = builders.an_attempt(job_run)
    line = "\x1b[33mwarning\x1b[0m: something of no interest took place\n"
    chunk = (line * (64 * 1024 // len(line))).encode()
    builders.a_log(attempt, *[chunk] * 160, "the end\n")
    visitor = Visitor(browser, live_server.url)
    visitor.log_in_at_once(boss)
    log = visitor.page.locator("#log")
    began = time.monotonic()

    visitor.go(job_run.get_absolute_url())

    expect(log).to_contain_text("the end")
    assert time.monotonic() - began < THERE_S
    expect(visitor.page.get_by_text("Only the end of the log is shown here.")).to_be_visible()
    # What comes now comes in a flood, and the page goes on to answer.
    builders.a_log(attempt, *[chunk] * 160, "the very end\n")
    expect(log).to_contain_text("the very end")
    assert int(visitor.page.evaluate("document.getElementById('log').textContent.length")) < 2**20
    visitor.page.get_by_role("link", name="Products", exact=True).click()
    expect(visitor.page.get_by_role("heading", name="Products")).to_be_visible()
    assert time.monotonic() - began < FLOOD_S
    assert visitor.complaints == []


def test_the_admin_breaks_no_rule_of_the_site(
    browser: Browser, live_server: Any, boss: User, world: BeltRun
) -> None:
    visitor = Visitor(browser, live_server.url)
    visitor.log_in_at_once(boss)
    job = builders.a_belt().jobs.get()
    credential = builders.a_credential(world.belt.product)
    for path in (
        reverse("admin:index"),
        reverse("admin:runs_beltrun_changelist"),
        reverse("admin:runs_beltrun_change", args=[world.pk]),
        reverse("admin:products_product_change", args=[world.belt.product.pk]),
        reverse("admin:products_credential_change", args=[credential.pk]),
        reverse("admin:belts_belt_change", args=[job.belt.pk]),
        reverse("admin:belts_job_change", args=[job.pk]),
        reverse("admin:products_apitoken_add"),
    ):
        assert visitor.go(path) == 200, path
        assert visitor.page.locator("main img[src=x]").count() == 0, path
        assert visitor.complaints == [], path
    visitor.page.get_by_role("link", name="Conveyor", exact=True).click()
    expect(visitor.page.get_by_role("heading", name="Recent chains")).to_be_visible()


def test_a_body_is_sent_from_the_page_of_an_action(
    browser: Browser, live_server: Any, boss: User
) -> None:
    run = builders.a_belt_run(["compile"])
    visitor = Visitor(browser, live_server.url)
    visitor.log_in_at_once(boss)
    visitor.go(f"/api/v1/belt-runs/{run.pk}/")
    visitor.page.get_by_role("link", name="cancel/").click()
    visitor.page.get_by_role("button", name="POST").click()
    expect(visitor.page.locator("#status")).to_contain_text("200")
    expect(visitor.page.locator("#answer")).to_contain_text('"state": "cancelled"')


def test_who_may_not_enter_the_admin_is_told_so(browser: Browser, live_server: Any) -> None:
    visitor = Visitor(browser, live_server.url, viewport=NARROW)
    visitor.log_in_at_once(builders.a_user("ada"))
    visitor.go("/admin/")
    expect(visitor.page.get_by_text("ada has no access to this page.")).to_be_visible()
    visitor.page.get_by_role("link", name="back to the home page").click()
    expect(visitor.page.get_by_text("No product is visible to you.")).to_be_visible()
    assert not visitor.overflows()
    assert visitor.complaints == []
