from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.living import FLAGS, LiveSite
from tests.own_database import OwnDatabase
from tests.queue_server import QueueServer

#: A busy machine takes a while; what comes sooner is not waited for.
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("a browser is needed; install chromium, as with apt-get install chromium")
    expect.set_options(timeout=PATIENCE_MS)
    # Playwright keeps a loop in this thread, and Django would refuse the database beside one.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser
        browser.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def site(folder: Path, own_database: OwnDatabase, queue_server: QueueServer) -> Iterator[LiveSite]:
    """Orchestrator and runner, not started yet; this process shares their database."""
    environment = {**own_database.environment, "CONVEYOR_BROKER_URL": queue_server.url}
    site = LiveSite(folder, environment)
    yield site
    site.close()
