from __future__ import annotations

import pytest
from django.contrib.auth import authenticate, get_user_model

from conveyor_site.demo.accounts import ADMIN, ensure_admin
from tests.builders import a_user

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def test_a_fresh_site_gets_an_administrator_whose_password_is_seen_once() -> None:
    password = ensure_admin()

    assert password is not None
    user = authenticate(username=ADMIN, password=password)
    assert user is not None
    assert user.is_superuser
    assert ensure_admin() is None


def test_existing_administrator_prevents_another() -> None:
    a_user("anna", staff=True)

    assert ensure_admin() is None
    assert get_user_model().objects.count() == 1


def test_an_account_of_that_name_is_left_as_it_is() -> None:
    a_user(ADMIN)

    assert ensure_admin() is None
    assert not get_user_model().objects.get(username=ADMIN).is_superuser
