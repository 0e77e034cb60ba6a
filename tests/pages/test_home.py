"""The home page: what a person may see of what ran."""

from __future__ import annotations

import pytest
from django.test import Client

from tests import builders

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def home_of(client: Client, user: object) -> str:
    client.force_login(user)  # type: ignore[arg-type]  # a user of the builders
    return client.get("/").content.decode()


def test_member_of_a_downstream_product_sees_its_chains(client: Client) -> None:
    image, web = builders.a_product("image"), builders.a_product("web")
    build = builders.a_belt("build", product=image)
    other = builders.a_belt("scan", product=image)
    root = builders.a_belt_run(belt=builders.a_belt("release", product=web))
    first = builders.a_belt_run(belt=build, upstream=root)
    second = builders.a_belt_run(belt=other, upstream=first)
    lonely = builders.a_belt_run(belt=build)

    page = home_of(client, builders.a_member(image, "viewer"))

    chains = [[link.run for link in chain] for chain in client.get("/").context["chains"]]
    assert chains == [[lonely], [first, second]]
    assert "Nothing has run yet" not in page
    assert root.get_absolute_url() not in page


def test_staff_see_each_chain_once_from_its_root(client: Client) -> None:
    root = builders.a_belt_run()
    first = builders.a_belt_run(upstream=root)
    client.force_login(builders.a_user("boss", staff=True))
    [chain] = client.get("/").context["chains"]
    assert [link.run for link in chain] == [root, first]
