from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from products.credentials import open_for_job, set_value
from products.models import Configuration, Credential, Event, Membership, Product, SeenRef, Source
from products.polling import poll_source
from tests import builders
from tests.products.repositories import Repository

pytestmark = [pytest.mark.django_db, pytest.mark.database]

CANARY = "kestrel-9-canary"


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(builders.a_user("boss", staff=True))
    return client


def act(boss: Client, model: str, action: str, *rows: Any) -> list[str]:
    """Run an action of a list; return what was said."""
    boss.cookies.pop("messages", None)
    given = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    response = boss.post(reverse(f"admin:products_{model}_changelist"), given)
    return [str(message) for message in get_messages(response.wsgi_request)]


def errors_of(response: Any) -> str:
    page: str = response.content.decode()
    assert response.status_code == 200
    return page


def a_form_of(product: Product, **fields: str) -> dict[str, str]:
    """Return the form of a product with a source and no members."""
    given = {"url": "https://git.example/thing", "path": ".conveyor.yml", "poll": "on"}
    source = {f"source-0-{name}": text for name, text in {**given, **fields}.items()}
    is_new = not Source.objects.filter(product=product).exists()
    if not is_new:
        source["source-0-id"] = str(product.source.pk)
        source["source-0-product"] = str(product.pk)
    return {
        "name": product.name,
        "source-TOTAL_FORMS": "1",
        "source-INITIAL_FORMS": "0" if is_new else "1",
        "memberships-TOTAL_FORMS": "0",
        "memberships-INITIAL_FORMS": "0",
        **source,
    }


def test_all_models_of_products_have_lists_and_forms_with_few_queries(
    boss: Client, django_assert_max_num_queries: Any
) -> None:
    product = builders.a_product()
    source = builders.a_source(product)
    SeenRef.objects.create(source=source, ref="refs/heads/main", commit="1" * 40)
    Membership.objects.create(product=product, user=builders.a_user())
    builders.a_credential(product)
    builders.a_token(builders.a_user(), products=[product])
    for _ in range(5):
        builders.an_event(product)
    Configuration.objects.create()
    for model in apps.get_app_config("products").get_models():
        assert model in admin.site._registry
        label = f"admin:products_{model._meta.model_name}"
        with django_assert_max_num_queries(12):
            response = boss.get(reverse(f"{label}_changelist"), {"q": "x"}, follow=True)
        assert response.status_code == 200
        row = model._default_manager.first()
        if row is not None:
            assert boss.get(reverse(f"{label}_change", args=[row.pk])).status_code == 200


# --- Products and sources -------------------------------------------------------------------------
def test_a_product_is_given_a_source_and_looked_at_at_once(boss: Client) -> None:
    product = builders.a_product()
    path = reverse("admin:products_product_change", args=[product.pk])
    assert boss.post(path, a_form_of(product)).status_code == 302
    source = Source.objects.get(product=product)
    assert source.url == "https://git.example/thing"
    assert source in Source.objects.due()


def test_a_name_that_means_something_else_in_belt_files_is_refused(boss: Client) -> None:
    form = {**a_form_of(builders.a_product()), "name": "source"}
    page = errors_of(boss.post(reverse("admin:products_product_add"), form))
    assert "means the product" in page
    assert not Product.objects.filter(name="source").exists()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"url": "ext::sh -c id"}, "is no address of a repository"),
        ({"url": "https://ada:secret@git.example/x"}, "credential of kind git"),
        ({"url": "/srv/x"}, "Allow local sources"),
        ({"path": "../../etc/passwd"}, "is no path of a file"),
    ],
)
def test_a_source_that_cannot_be_is_refused_with_the_way_out(
    boss: Client, fields: dict[str, str], said: str
) -> None:
    product = builders.a_product()
    path = reverse("admin:products_product_change", args=[product.pk])
    assert said in errors_of(boss.post(path, a_form_of(product, **fields)))
    assert not Source.objects.exists()


def test_another_repository_is_seen_as_if_for_the_first_time(
    boss: Client, repository: Repository, local_sources: None
) -> None:
    repository.commit()
    source = builders.a_source(url=repository.url)
    poll_source(source.pk)
    path = reverse("admin:products_source_change", args=[source.pk])
    given = {"url": repository.url, "path": ".conveyor.yml", "poll": "on"}
    boss.post(path, {**given, "poll_interval_s": "5"})
    source.refresh_from_db()
    assert (source.poll_interval_s, source.seen_refs.count()) == (5, 1)
    boss.post(path, {**given, "url": "https://git.example/other"})
    source.refresh_from_db()
    assert (source.first_seen_at, source.seen_refs.count()) == (None, 0)


def test_a_credential_does_not_follow_a_source_to_another_host(boss: Client) -> None:
    product = builders.a_product()
    credential = builders.a_credential(product, kind="git")
    source = builders.a_source(product, url="https://git.example/a", credential=credential)
    path = reverse("admin:products_source_change", args=[source.pk])
    given = {"path": ".conveyor.yml", "credential": str(credential.pk)}
    page = errors_of(boss.post(path, {**given, "url": "https://evil.example/a"}))
    assert "given for another host" in page
    assert boss.post(path, {**given, "url": "https://git.example/b"}).status_code == 302


def test_a_credential_of_other_products_is_not_given_to_a_source(boss: Client) -> None:
    source = builders.a_source()
    credential = builders.a_credential(builders.a_product(), kind="git")
    path = reverse("admin:products_source_change", args=[source.pk])
    given = {"path": ".conveyor.yml", "credential": str(credential.pk), "url": source.url}
    assert "is not for this product" in errors_of(boss.post(path, given))


def test_sources_are_looked_at_now_and_what_fails_is_said(
    boss: Client, repository: Repository, local_sources: None
) -> None:
    repository.commit("one")
    source = builders.a_source(url=repository.url)
    missing = builders.a_source(url=f"{repository.url}-missing")
    poll_source(source.pk)
    repository.commit("two")
    said = act(boss, "source", "look_now", source, missing)
    assert said[0] == "Checked 2 sources: 1 new event."
    assert "there is no repository at this address" in said[1]
    assert Event.objects.get().product == source.product
    repository.commit("three")
    said = act(boss, "product", "look_now", source.product)
    assert said[0] == "Checked 1 source: 1 new event."


def test_products_are_archived_and_restored_and_never_deleted(boss: Client) -> None:
    product = builders.a_product()
    assert "Archived 1" in act(boss, "product", "archive_products", product)[0]
    product.refresh_from_db()
    assert product.archived_at is not None
    assert "Restored 1" in act(boss, "product", "restore_products", product)[0]
    path = reverse("admin:products_product_delete", args=[product.pk])
    assert boss.post(path, {"post": "yes"}).status_code == 403


def test_what_a_file_says_of_its_product_is_not_edited_here(boss: Client) -> None:
    product = builders.a_product("filed", managed_by=Product.Manager.FILE)
    path = reverse("admin:products_product_change", args=[product.pk])
    given = {**a_form_of(product), "name": "other", "managed_by": "admin", "description": "x"}
    assert boss.post(path, given).status_code == 302
    product.refresh_from_db()
    assert (product.name, product.managed_by, product.description) == ("filed", "file", "")


# --- Credentials ----------------------------------------------------------------------------------
def test_a_credential_of_the_admin_reaches_the_job(boss: Client) -> None:
    product = builders.a_product()
    given = {"name": "deploy-key", "kind": "git", "username": "ada", "products": [str(product.pk)]}
    boss.post(reverse("admin:products_credential_add"), {**given, "value": CANARY})
    opened = open_for_job(product, ["deploy-key"])[0]
    assert (opened.value, opened.username, opened.variable) == (CANARY, "ada", "DEPLOY_KEY")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"value": "short"}, "cannot be masked"),
        ({"value": CANARY, "kind": "ssh-key"}, "BEGIN OPENSSH PRIVATE KEY"),
        ({"value": CANARY, "variable": "LD_PRELOAD"}, "LD_PRELOAD is the platform"),
        ({"value": CANARY, "variable": "NOT-ONE"}, "cannot name a variable"),
        ({"value": CANARY, "name": "9lives"}, "9LIVES cannot name a variable"),
        ({"value": CANARY, "name": "path"}, "PATH is the platform"),
        ({"value": CANARY, "kind": "git", "username": "ada:x"}, "A username has no colon"),
    ],
)
def test_a_credential_that_no_job_could_use_is_refused(
    boss: Client, fields: dict[str, str], said: str
) -> None:
    given = {"name": "token", "kind": "variable", **fields}
    page = errors_of(boss.post(reverse("admin:products_credential_add"), given))
    assert said in page
    assert CANARY not in page
    assert not Credential.objects.exists()


def test_another_kind_needs_the_value_again(boss: Client) -> None:
    credential = builders.a_credential(name="token")
    set_value(credential, CANARY)
    path = reverse("admin:products_credential_change", args=[credential.pk])
    page = errors_of(boss.post(path, {"name": "token", "kind": "ssh-key", "value": ""}))
    assert "needs its value again" in page


def test_the_list_of_credentials_says_who_may_use_them(
    boss: Client, django_assert_max_num_queries: Any
) -> None:
    products = [builders.a_product(f"product-{number}") for number in range(7)]
    builders.a_credential(name="alone")
    for number in range(4):
        builders.a_credential(*products[: 2 + number * 2], name=f"token-{number}")
    with django_assert_max_num_queries(6):
        page = errors_of(boss.get(reverse("admin:products_credential_changelist")))
    assert "none: nothing can use it" in page
    assert ">product-0, product-1</td>" in page
    assert page.count("product-4 and more</td>") == 2


def test_a_credential_of_sources_may_have_a_name_that_no_variable_may(boss: Client) -> None:
    given = {"name": "git-login", "kind": "git", "username": "ada", "value": CANARY}
    assert boss.post(reverse("admin:products_credential_add"), given).status_code == 302
    given = {**given, "name": "git-other", "variable": "GIT_ASKPASS"}
    page = errors_of(boss.post(reverse("admin:products_credential_add"), given))
    assert "GIT_ASKPASS is the platform" in page


def test_a_login_without_a_username_is_stored_with_a_warning(boss: Client) -> None:
    given = {"name": "login", "kind": "git", "value": CANARY}
    page = errors_of(boss.post(reverse("admin:products_credential_add"), given, follow=True))
    assert "login has no username" in page
    assert Credential.objects.get().sealed


@pytest.mark.parametrize(
    ("url", "kind"), [("https://git.example/a", "ssh-key"), ("git@git.example:a", "git")]
)
def test_source_refuses_a_credential_of_the_wrong_kind(boss: Client, url: str, kind: str) -> None:
    product = builders.a_product()
    credential = builders.a_credential(product, kind=kind, name="key")
    path = reverse("admin:products_product_change", args=[product.pk])
    page = errors_of(boss.post(path, a_form_of(product, url=url, credential=str(credential.pk))))
    assert f"key is of kind {kind}" in page
    assert not Source.objects.exists()


def test_a_credential_stays_of_the_kind_that_its_source_needs(boss: Client) -> None:
    product = builders.a_product("gem")
    credential = builders.a_credential(product, kind="git", name="login", username="ada")
    builders.a_source(product, url="https://git.example/a", credential=credential)
    path = reverse("admin:products_credential_change", args=[credential.pk])
    given = {"name": "login", "kind": "variable", "value": CANARY, "products": [str(product.pk)]}
    assert "The source of gem is read with this credential" in errors_of(boss.post(path, given))
    assert boss.post(path, {**given, "kind": "git"}).status_code == 302


def test_unreadable_value_is_a_warning_above_its_form(boss: Client, settings: Settings) -> None:
    credential = builders.a_credential(name="token")
    set_value(credential, CANARY)
    path = reverse("admin:products_credential_change", args=[credential.pk])
    assert "cannot be opened" not in errors_of(boss.get(path))
    settings.CONVEYOR_KEYS = f"other:{'b' * 43}="
    assert "The credential token cannot be opened: it was sealed" in errors_of(boss.get(path))


def test_value_under_an_unshared_key_is_a_warning(boss: Client, settings: Settings) -> None:
    settings.CONVEYOR_EMBEDDED = settings.CONVEYOR_KEYS_GIVEN = False
    given = {"name": "token", "kind": "variable", "value": CANARY}
    page = boss.post(reverse("admin:products_credential_add"), given, follow=True)
    assert (
        "No other machine can open this value: CONVEYOR_DATABASE_URL is set and CONVEYOR_KEYS"
        in errors_of(page)
    )


# --- Configuration --------------------------------------------------------------------------------
def test_the_configuration_is_stored_once_and_never_by_looking(boss: Client) -> None:
    path = reverse("admin:products_configuration_changelist")
    page = boss.get(path, follow=True).content.decode()
    assert "Default queue" in page
    assert not Configuration.objects.exists()
    given = {
        field.name: getattr(Configuration(), field.name)
        for field in Configuration._meta.fields
        if field.name not in ("id", "allow_local_sources", "allow_http_sources")
    }
    add = reverse("admin:products_configuration_add")
    refused = errors_of(boss.post(add, {**given, "default_timeout_s": 90_000}))
    assert "must be at least the default timeout" in refused
    assert boss.post(add, {**given, "default_queue": "other"}).status_code == 302
    assert Configuration.objects.get().default_queue == "other"
    assert boss.get(add).status_code == 403
    assert "other" in boss.get(path, follow=True).content.decode()
