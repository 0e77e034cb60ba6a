"""A site of real processes for a browser, and a browser that tells of everything it dislikes."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page

from products.models import Membership, Product
from tests.postgres import free_port
from tests.site_processes import SiteProcesses
from tests.waiting import until

PASSWORD = "kestrel-over-the-belt-7"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
#: Of a start on a busy machine.
PATIENCE_S = 120.0
NARROW = {"width": 390, "height": 844}
WIDE = {"width": 1280, "height": 900}
_VIOLATIONS = """
    document.addEventListener("securitypolicyviolation", (event) => {
        console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`);
    });
"""


class LiveSite:
    """Starts orchestrator and runner in ``folder``, and ends them with ``close``."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        environment = {
            **{key: text for key, text in os.environ.items() if not key.startswith("CONVEYOR_")},
            "CONVEYOR_WORK_DIR": str(folder / "work"),
            "CONVEYOR_PUBLIC_URL": self.url,
            **environment,
        }
        self._processes = SiteProcesses(folder, environment)

    def start(self) -> None:
        """Start both and wait for the pages; what a runner does is awaited by who wants it."""
        self._processes.start(port=self._port, runner=("--name", "here"))
        until(self._answers, "the orchestrator answers", patience_s=PATIENCE_S)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def close(self) -> None:
        """End both; jobs that run end with their runner."""
        self._processes.close()


class Visitor:
    """A person with a browser window of their own; ``complaints`` is what its console said."""

    def __init__(self, browser: Browser, url: str, **options: object) -> None:
        self.url = url
        self.context: BrowserContext = browser.new_context(**{"viewport": WIDE, **options})  # type: ignore[arg-type]  # options by name
        self.context.add_init_script(_VIOLATIONS)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda said: self._note(said.type, said.text))
        self.page.on("pageerror", lambda error: self._note("error", str(error)))

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def go(self, path: str) -> int:
        """Go to a path of the site; return the status of the answer."""
        answer = self.page.goto(f"{self.url}{path}")
        assert answer is not None
        return answer.status

    def log_in(self, name: str, password: str = PASSWORD) -> None:
        """Fill the login form in and send it."""
        self.go("/login/")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Log in").click()

    def log_in_at_once(self, user: User) -> None:
        """Have the session of that user, in a database that this process shares."""
        client = Client()
        client.force_login(user)
        session = client.cookies["sessionid"].value
        self.context.add_cookies([{"name": "sessionid", "value": session, "url": self.url}])

    def overflows(self) -> bool:
        """Return whether the page is wider than the window."""
        wider = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        return bool(self.page.evaluate(wider))

    def mark(self) -> None:
        """Leave a mark that a reload would take away."""
        self.page.evaluate("window.marked = true")

    def is_marked(self) -> bool:
        """Return whether the page is still the one that was marked."""
        return bool(self.page.evaluate("window.marked === true"))


def a_person(name: str, *products: Product) -> None:
    """Make a user who logs in with PASSWORD and operates these products."""
    user = get_user_model().objects.create_user(username=name, password=PASSWORD)
    for product in products:
        Membership.objects.create(product=product, user=user, role="operator")
