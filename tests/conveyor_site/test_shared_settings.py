"""Warnings about variables that all processes of a site must share, through the real server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from products.models import Credential
from tests import builders
from tests.conveyor_site.conftest import Start
from tests.conveyor_site.staff_browser import StaffBrowser

pytestmark = [pytest.mark.processes, pytest.mark.database]

NOT_SHARED = "No other machine can open this value"


@pytest.fixture
def save_credential(start: Start, environment: dict[str, str]) -> Callable[..., str]:
    """Saves a credential in the admin of an orchestrator; returns the page that follows."""

    def save(**variables: str) -> str:
        data = Path(environment["CONVEYOR_DATA_DIR"])
        url = environment.get("CONVEYOR_DATABASE_URL", f"sqlite:///{data / 'conveyor.sqlite3'}")
        orchestrator = start(**{"CONVEYOR_DATABASE_URL": url, **variables}).ready()
        browser = StaffBrowser(orchestrator.url, builders.a_user(staff=True))
        given = {"name": "token", "kind": "variable", "value": "kestrel-9-canary"}
        return browser.post("/admin/products/credential/add/", given)

    return save


def test_admin_does_not_warn_of_given_keys(save_credential: Callable[..., str]) -> None:
    page = save_credential()
    assert Credential.objects.filter(name="token").exists()
    assert NOT_SHARED not in page


def test_admin_warns_of_missing_keys(save_credential: Callable[..., str]) -> None:
    page = save_credential(CONVEYOR_KEYS="")
    assert f"{NOT_SHARED}: CONVEYOR_DATABASE_URL is set and CONVEYOR_KEYS is not" in page
