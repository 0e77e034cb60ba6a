"""The database's URL: what it may say, and what is refused."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from conveyor_site.database_url import database_from_url

URL = "postgresql://user:p%40ss@db.example:5433/conveyor"


def test_a_url_of_postgresql_gives_its_parts_and_a_connection_that_notices_a_dead_server() -> None:
    database = database_from_url(URL)
    assert (database["NAME"], database["USER"], database["PASSWORD"]) == (
        "conveyor",
        "user",
        "p@ss",
    )
    assert (database["HOST"], database["PORT"]) == ("db.example", "5433")
    assert database["OPTIONS"]["tcp_user_timeout"] == 20000


def test_options_of_the_driver_are_numbers_and_others_stay_text() -> None:
    options = database_from_url(f"{URL}?server_side_binding=0&sslmode=require")["OPTIONS"]
    assert options["server_side_binding"] == 0
    assert options["sslmode"] == "require"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (
            f"{URL}?server_side_binding=no",
            "the option server_side_binding must be a whole number",
        ),
        ("mongodb://host/name", "use postgresql://"),
        ("conveyor", "no scheme"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_forms_that_can(url: str, sentence: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=sentence):
        database_from_url(url)
