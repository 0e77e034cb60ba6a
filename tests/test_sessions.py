from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection, transaction

from products.models import Product
from tests.builders import a_product
from tests.waiting import at_once


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_threads_share_the_database_of_a_test() -> None:
    product = a_product("shared")

    def rename() -> int:
        with transaction.atomic():
            rows = Product.objects.filter(id=product.id, name="shared")
            return rows.update(name="renamed")

    assert sorted(map(str, at_once(*[rename] * 16))) == ["0"] * 15 + ["1"]
    assert connection.vendor in {"sqlite", "postgresql"}


def test_a_session_touches_no_site_of_the_developer() -> None:
    assert not settings.CONVEYOR_DATA_DIR.is_relative_to(settings.BASE_DIR)
    assert not Path(os.environ["CONVEYOR_DATA_DIR"]).is_relative_to(settings.BASE_DIR)
