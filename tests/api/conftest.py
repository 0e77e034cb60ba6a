from __future__ import annotations

import pytest
from django.test import Client

from tests import builders


@pytest.fixture
def caller(db: None) -> Client:
    """A program of a member of staff, which may read and run."""
    boss = builders.a_user("boss", staff=True)
    token = builders.a_token(boss, scopes=["read", "run"])
    return Client(headers={"Authorization": f"Bearer {token}"}, raise_request_exception=False)


@pytest.fixture
def start(db: None) -> str:
    """The address that starts a belt."""
    return f"/api/v1/belts/{builders.a_belt().pk}/start/"
