"""A limit to products never fails open: no product means none, and all is said explicitly."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from django.urls import reverse

from products.models import ApiToken, Product
from products.tokens import TokenProductsError, authenticate, issue_token
from runners.models import Fleet
from tests import builders
from tests.own_database import OwnDatabase

pytestmark = [pytest.mark.django_db, pytest.mark.database]

BEFORE = [("products", "0003_words_of_the_configuration"), ("runners", "0001_initial")]
AFTER = [("products", "0005_tokens_of_all_products"), ("runners", "0003_fleets_of_all_products")]


def listed(text: str) -> list[str]:
    """Return the names of the products that the API lists for a token."""
    answer = Client().get("/api/v1/products/", headers={"Authorization": f"Bearer {text}"})
    assert answer.status_code == 200, answer.content
    return [each["name"] for each in answer.json()["results"]]


def reached(text: str) -> Any:
    use = authenticate(text)
    assert use is not None
    return use.product_ids


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(builders.a_user(staff=True))
    return client


# --- Tokens ---------------------------------------------------------------------------------------
def test_token_that_loses_its_last_product_reaches_none() -> None:
    product, other = builders.a_product(), builders.a_product()
    text = builders.a_token(builders.a_user(staff=True), products=[product])
    assert listed(text) == [product.name]
    ApiToken.objects.get().products.clear()
    assert listed(text) == []
    assert reached(text) == frozenset()
    assert Product.objects.filter(id=other.id).exists()


def test_token_whose_product_is_removed_reaches_none() -> None:
    product = builders.a_product()
    text = builders.a_token(builders.a_user(staff=True), products=[product])
    builders.a_product()
    product.delete()
    assert listed(text) == []


def test_token_of_all_products_reaches_later_ones() -> None:
    issued = issue_token(builders.a_user(staff=True), name="ci", all_products=True)
    product = builders.a_product()
    assert reached(issued.text) is None
    assert listed(issued.text) == [product.name]


def test_token_is_issued_for_no_product_by_default() -> None:
    builders.a_product()
    issued = issue_token(builders.a_user(staff=True), name="ci")
    assert listed(issued.text) == []


def test_token_of_all_and_of_some_is_refused() -> None:
    product = builders.a_product()
    with pytest.raises(TokenProductsError, match="Name the products, or ask for all"):
        issue_token(builders.a_user(), name="ci", all_products=True, products=[product])
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize("limited", [False, True])
def test_command_states_whether_a_token_reaches_all(limited: bool) -> None:
    product, out = builders.a_product(), StringIO()
    user = builders.a_member(product)
    words = ["--product", product.name] if limited else []
    call_command("create_token", user.username, *words, stdout=out)
    token = ApiToken.objects.get()
    assert (token.all_products, list(token.products.all())) == (
        not limited,
        [product] if limited else [],
    )


@pytest.mark.parametrize("chosen", [{}, {"all_products": "on"}])
def test_admin_form_issues_what_it_states(boss: Client, chosen: dict[str, str]) -> None:
    user = builders.a_user()
    given = {"user": user.pk, "name": "ci", "scopes": ["read"], "days": 30, **chosen}
    answer = boss.post(reverse("admin:products_apitoken_add"), given)
    assert answer.status_code == 302
    token = ApiToken.objects.get()
    assert token.all_products == bool(chosen)
    assert not token.products.exists()


def test_admin_form_refuses_some_products_beside_all(boss: Client) -> None:
    product, user = builders.a_product(), builders.a_user()
    given = {"name": "ci", "scopes": ["read"], "days": 30, "all_products": "on"}
    given |= {"user": str(user.pk), "products": [str(product.pk)]}
    answer = boss.post(reverse("admin:products_apitoken_add"), given)
    assert "Choose either all products or some" in answer.content.decode()
    assert not ApiToken.objects.exists()


# --- Fleets ---------------------------------------------------------------------------------------
def test_fleet_that_loses_its_last_product_in_the_admin_has_none(boss: Client) -> None:
    fleet = builders.a_fleet("gpu", all_products=False)
    fleet.products.add(builders.a_product())
    path = reverse("admin:runners_fleet_change", args=[fleet.pk])
    given = {"name": "gpu", "queue": "gpu", "description": "", "job_path": "", "products": []}
    assert boss.post(path, given).status_code == 302
    fleet.refresh_from_db()
    assert (fleet.all_products, fleet.products.count()) == (False, 0)


def test_fleet_form_refuses_some_products_beside_all(boss: Client) -> None:
    product = builders.a_product()
    given = {"name": "gpu", "queue": "gpu", "all_products": "on", "products": [str(product.pk)]}
    answer = boss.post(reverse("admin:runners_fleet_add"), given)
    assert "Choose either all products or some" in answer.content.decode()
    assert not Fleet.objects.exists()


def test_forms_offer_all_products_to_new_rows(boss: Client) -> None:
    for name in ("admin:runners_fleet_add", "admin:products_apitoken_add"):
        form = boss.get(reverse(name)).context["adminform"].form
        assert form["all_products"].value() is True


def test_member_sees_only_fleets_that_a_product_of_theirs_may_use(client: Client) -> None:
    mine = builders.a_product()
    bound = builders.a_fleet("bound", all_products=False)
    bound.products.add(mine)
    foreign = builders.a_fleet("foreign", all_products=False)
    foreign.products.add(builders.a_product())
    builders.a_fleet("nobody", all_products=False)
    builders.a_fleet("open")
    client.force_login(builders.a_member(mine))
    found = client.get("/api/v1/fleets/").json()["results"]
    assert {each["name"]: each["is_open"] for each in found} == {"bound": False, "open": True}


# --- Rows of the versions before ------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_migration_states_all_products_where_a_list_was_empty(own_database: OwnDatabase) -> None:
    old = _migrated(BEFORE)
    product = old.get_model("products", "Product").objects.create(name="thing")
    user = old.get_model("auth", "User").objects.create(username="ada")
    tokens, fleets = old.get_model("products", "ApiToken"), old.get_model("runners", "Fleet")
    for name in ("all", "some"):
        token = tokens.objects.create(
            user=user, name=name, digest=name, expires_at="2100-01-01T00:00Z"
        )
        fleet = fleets.objects.create(name=name, queue=name)
        if name == "some":
            token.products.add(product)
            fleet.products.add(product)
    new = _migrated(AFTER)
    for app, model in (("products", "ApiToken"), ("runners", "Fleet")):
        rows = new.get_model(app, model).objects.order_by("name")
        assert list(rows.values_list("name", "all_products", "products")) == [
            ("all", True, None),
            ("some", False, product.pk),
        ]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("model", ["ApiToken", "Fleet"])
def test_older_version_is_refused_rows_of_no_product(own_database: OwnDatabase, model: str) -> None:
    """It would read them as rows of all products."""
    if model == "Fleet":
        builders.a_fleet("gpu", all_products=False)
    else:
        builders.a_token(builders.a_user(), products=[])
    with pytest.raises(ValueError, match="The version before would let"):
        _migrated(BEFORE)


@pytest.mark.django_db(transaction=True)
def test_row_of_an_older_process_reaches_no_product(own_database: OwnDatabase) -> None:
    """An older process inserts without naming the column, while the site is upgraded."""
    builders.a_token(builders.a_user(), products=[])
    table, column = ApiToken._meta.db_table, "all_products"
    names = [f"{each.column}" for each in ApiToken._meta.concrete_fields if each.name != column]
    copied = ["'another'" if each == "digest" else _new_id(each) for each in names]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(copied)} FROM {table}"  # noqa: S608
        )
    assert list(ApiToken.objects.values_list("all_products", flat=True)) == [False, False]


def _new_id(column: str) -> str:
    if column != "id":
        return column
    return (
        "gen_random_uuid()" if connection.vendor == "postgresql" else "lower(hex(randomblob(16)))"
    )


def _migrated(targets: list[tuple[str, str]]) -> Any:
    """Migrate the two apps there; return the models of that version."""
    executor = MigrationExecutor(connection)
    executor.migrate(targets)
    return MigrationExecutor(connection).loader.project_state(targets).apps
