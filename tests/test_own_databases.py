from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.db import connection

from products.models import Product
from tests.builders import a_product
from tests.own_database import REPOSITORY, OwnDatabase
from tests.waiting import at_once

pytestmark = [pytest.mark.processes, pytest.mark.database]


def test_a_process_sees_what_this_one_wrote(own_database: OwnDatabase) -> None:
    a_product("seen-by-both")
    script = "from products.models import Product; print(Product.objects.get().name)"
    result = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", script],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], **own_database.environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == ["seen-by-both"]


def test_each_test_and_all_its_threads_have_one_database(own_database: OwnDatabase) -> None:
    a_product("alone")
    assert at_once(Product.objects.count, Product.objects.count) == [1, 1]
    assert own_database.environment.get("CONVEYOR_DATABASE_URL", "sqlite").startswith(
        connection.vendor
    )
