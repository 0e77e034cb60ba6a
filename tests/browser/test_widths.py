"""What belongs together stays together, on a telephone and in the lists of the admin."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Browser

from belts.commit_files import store_commit_file
from belts.spec import parse_belt_text
from products.models import Product
from runs.models import JobRun, RunEvent
from tests import builders
from tests.browser.living import Visitor

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]

TELEPHONE = {"width": 360, "height": 780}
LAPTOP = {"width": 1440, "height": 900}
BROKEN = f"""\
product: small
belts:
  - name: build
    jobs:
      - {{name: compile, commands: make, comands: "{"x" * 300}"}}
"""
WHY = "The command ended with exit code 127: bash: line 3: bundle: command not found. See the log."


@pytest.fixture
def boss(transactional_db: None) -> User:
    return builders.a_user("boss", staff=True)


def visitor(browser: Browser, url: str, boss: User, **options: object) -> Visitor:
    someone = Visitor(browser, url, **options)
    someone.log_in_at_once(boss)
    return someone


def test_an_arrow_stays_with_the_state_that_it_leads_to(
    browser: Browser, live_server: Any, boss: User
) -> None:
    run = builders.a_belt_run({"compile": "running"})
    job = run.job_runs.get()
    moved = RunEvent(belt_run=run, job_run=job, old="starting", new="succeeded", message=WHY)
    moved.at = timezone.now() - timedelta(days=2)
    moved.save()
    someone = visitor(browser, live_server.url, boss, viewport=TELEPHONE)
    someone.go(job.get_absolute_url())
    move = someone.page.locator(".moves .move", has=someone.page.locator(".arrow"))
    arrow = move.locator(".arrow").bounding_box()
    state = move.locator(".state").bounding_box()
    assert arrow is not None
    assert state is not None
    assert abs(arrow["y"] + arrow["height"] / 2 - state["y"] - state["height"] / 2) < 6
    assert not someone.overflows()
    someone.context.close()


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("size", [TELEPHONE, LAPTOP], ids=["narrow", "wide"])
def test_an_offending_line_is_whole_within_its_problem(
    browser: Browser, live_server: Any, boss: User, size: Any, colours: str
) -> None:
    product = builders.a_product("small", managed_by=Product.Manager.FILE)
    problems = parse_belt_text(BROKEN).problems
    data = BROKEN.encode()
    store_commit_file(product, "a" * 40, data=data, problems=problems, definition=None)
    someone = visitor(browser, live_server.url, boss, viewport=size, color_scheme=colours)
    someone.go(product.get_absolute_url())
    excerpt = someone.page.locator(".problems .excerpt")
    assert "comands" in excerpt.inner_text()
    assert excerpt.evaluate("each => each.scrollWidth <= each.clientWidth")
    ink, paper = (
        excerpt.evaluate(f"each => getComputedStyle(each).{name}")
        for name in ("color", "backgroundColor")
    )
    assert ink != paper
    assert not someone.overflows()
    someone.context.close()


def test_lists_of_runs_show_all_columns_and_room_for_sentences(
    browser: Browser, live_server: Any, boss: User
) -> None:
    builders.an_attempt(state="failed")
    JobRun.objects.update(
        message=WHY, reason="exit-status", queued_at=timezone.now(), finished_at=timezone.now()
    )
    RunEvent.objects.update(message=WHY)
    someone = visitor(browser, live_server.url, boss, viewport=LAPTOP)
    for name in ("jobrun", "beltrun", "attempt", "runevent"):
        someone.go(reverse(f"admin:runs_{name}_changelist"))
        results = someone.page.locator("#changelist-form .results")
        assert results.evaluate("each => each.scrollWidth <= each.clientWidth"), name
    someone.go(reverse("admin:runs_jobrun_changelist"))
    message = someone.page.locator("td.field-message").first.bounding_box()
    assert message is not None
    assert message["width"] > 200
    someone.context.close()
