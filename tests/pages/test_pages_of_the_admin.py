from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from belts.models import Job
from products.models import ApiToken, Configuration, Credential, Product
from products.tokens import authenticate
from runs.models import BeltRun, JobRun
from tests import builders
from tests.api.world import a_tenant

OURS = ("products", "belts", "runs", "runners")
CANARY = "kestrel-9-canary"


@pytest.fixture
def boss(client: Client, db: None) -> Client:
    client.force_login(builders.a_user("boss", staff=True))
    return client


def models() -> list[Any]:
    return [model for label in OURS for model in apps.get_app_config(label).get_models()]


def test_every_model_is_in_the_admin() -> None:
    automatic = {"auto_created"}
    missing = [each for each in models() if each not in admin.site._registry]
    assert missing == [], automatic


def test_every_list_and_row_can_be_looked_at_with_few_queries(
    boss: Client, django_assert_max_num_queries: Any
) -> None:
    a_tenant("ours")
    builders.a_runner()
    for model in models():
        label = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        with django_assert_max_num_queries(15):
            response = boss.get(reverse(f"{label}_changelist"))
        assert response.status_code in (200, 302), label
        boss.get(reverse(f"{label}_changelist"), {"q": "x"})
        row = model._default_manager.first()
        if row is not None:
            response = boss.get(reverse(f"{label}_change", args=[row.pk]))
            assert response.status_code == 200, label


def test_lists_of_runs_do_not_query_for_each_row(
    boss: Client, django_assert_max_num_queries: Any
) -> None:
    for _ in range(12):
        builders.an_attempt()
    for name in ("beltrun", "jobrun", "attempt", "runevent"):
        with django_assert_max_num_queries(8):
            boss.get(reverse(f"admin:runs_{name}_changelist"))


def test_what_the_engine_wrote_cannot_be_changed(boss: Client) -> None:
    run = builders.a_belt_run()
    path = reverse("admin:runs_beltrun_change", args=[run.pk])
    assert boss.post(path, {"state": "succeeded"}).status_code == 403
    assert boss.get(reverse("admin:runs_beltrun_add")).status_code == 403
    assert BeltRun.objects.get().state == run.state
    assert JobRun.objects.count() == 1


def test_a_credential_is_written_and_never_read(boss: Client) -> None:
    product = builders.a_product()
    path = reverse("admin:products_credential_add")
    given = {"name": "deploy-key", "kind": "variable", "products": [str(product.pk)]}
    response = boss.post(path, {**given, "value": CANARY}, follow=True)
    credential = Credential.objects.get(name="deploy-key")
    assert credential.sealed
    assert CANARY not in credential.sealed
    assert CANARY not in response.content.decode()
    change = reverse("admin:products_credential_change", args=[credential.pk])
    assert CANARY not in boss.get(change).content.decode()
    history = reverse("admin:products_credential_history", args=[credential.pk])
    assert CANARY not in boss.get(history).content.decode()


def test_a_mistake_does_not_show_the_value_again(boss: Client) -> None:
    path = reverse("admin:products_credential_add")
    response = boss.post(path, {"name": "no good name", "kind": "variable", "value": CANARY})
    assert response.status_code == 200
    assert CANARY not in response.content.decode()


def test_a_credential_without_a_value_is_refused_and_an_old_value_is_kept(boss: Client) -> None:
    path = reverse("admin:products_credential_add")
    response = boss.post(path, {"name": "key", "kind": "variable", "value": ""})
    assert "needs a value" in response.content.decode()
    boss.post(path, {"name": "key", "kind": "variable", "value": CANARY})
    sealed = Credential.objects.get().sealed
    change = reverse("admin:products_credential_change", args=[Credential.objects.get().pk])
    boss.post(change, {"name": "key", "kind": "variable", "variable": "KEY", "value": ""})
    assert Credential.objects.get().variable == "KEY"
    assert Credential.objects.get().sealed == sealed


def test_a_token_is_shown_once(boss: Client) -> None:
    user = builders.a_user("ada")
    given = {"user": user.pk, "name": "ci", "scopes": ["read", "run"], "days": "30"}
    response = boss.post(reverse("admin:products_apitoken_add"), given, follow=True)
    page = response.content.decode()
    text = next(word for word in page.split() if word.startswith("cvy_") and len(word) > 40)
    use = authenticate(text)
    assert use is not None
    assert use.user == user
    assert use.scopes == {"read", "run"}
    row = ApiToken.objects.get()
    again = boss.get(reverse("admin:products_apitoken_change", args=[row.pk])).content.decode()
    assert text not in again
    assert row.digest not in again


def test_rows_of_a_file_are_shown_with_the_way_out(boss: Client) -> None:
    product = builders.a_product("filed", managed_by=Product.Manager.FILE)
    belt = builders.a_belt("build", product=product)
    trigger = builders.a_trigger(product, ["build"])
    for path in (
        reverse("admin:belts_belt_change", args=[belt.pk]),
        reverse("admin:belts_job_change", args=[belt.jobs.get().pk]),
        reverse("admin:belts_trigger_change", args=[trigger.pk]),
    ):
        assert "edit the file, or detach" in boss.get(path).content.decode()
        assert boss.post(path, {}).status_code == 403


def test_nothing_is_added_to_a_product_of_a_file(boss: Client) -> None:
    product = builders.a_product("filed", managed_by=Product.Manager.FILE)
    given = {
        "product": str(product.pk),
        "name": "extra",
        "position": "0",
        "env": "{}",
        "downstreams": "[]",
        "jobs-TOTAL_FORMS": "0",
        "jobs-INITIAL_FORMS": "0",
    }
    response = boss.post(reverse("admin:belts_belt_add"), given)
    assert "managed by its file" in response.content.decode()
    assert not product.belts.exists()


def test_an_edit_reaches_the_job(boss: Client) -> None:
    belt = builders.a_belt("build")
    job = belt.jobs.get()
    path = reverse("admin:belts_job_change", args=[job.pk])
    given = {
        "belt": str(belt.pk),
        "name": "compile",
        "position": "0",
        "inputs": "[]",
        "env": "{}",
        "credentials": "[]",
        "shell": "bash",
        "commands": "make",
        "outputs": "[]",
        "downstreams": "[]",
        "retry": "null",
    }
    response = boss.post(path, given)
    assert response.status_code == 302
    assert Job.objects.get().commands == "make"


def test_a_product_is_detached(boss: Client) -> None:
    product = builders.a_product("filed", managed_by=Product.Manager.FILE)
    builders.a_definition(product, {"build": ["compile"]}, current=True)
    given = {"action": "detach_products", "_selected_action": [str(product.pk)]}
    boss.post(reverse("admin:products_product_changelist"), given)
    product.refresh_from_db()
    assert not product.is_file_managed


def test_the_configuration_is_one_row(boss: Client) -> None:
    response = boss.get(reverse("admin:products_configuration_changelist"), follow=True)
    assert response.status_code == 200
    assert "Default queue" in response.content.decode()


def test_each_field_of_the_configuration_says_what_it_is_and_in_which_unit(boss: Client) -> None:
    page = boss.get(reverse("admin:products_configuration_add")).content.decode()
    assert "Default timeout (seconds)" in page
    assert "https://localhost" in page
    assert "_addanother" not in page
    for field in Configuration._meta.fields:
        assert field.help_text or not field.editable, field.name
        assert str(field.verbose_name).split()[-1] not in ("s", "bytes", "days", "root"), field


def test_a_runner_is_asked_to_drain(boss: Client) -> None:
    runner = builders.a_runner()
    given = {"action": "drain_runners", "_selected_action": [str(runner.pk)]}
    boss.post(reverse("admin:runners_runner_changelist"), given)
    runner.refresh_from_db()
    assert runner.drain_requested_at is not None


@pytest.mark.parametrize(
    "model", ["product", "membership", "source", "credential", "apitoken", "configuration"]
)
def test_every_input_of_a_form_has_a_help_text(boss: Client, model: str) -> None:
    form = boss.get(reverse(f"admin:products_{model}_add")).context["adminform"].form
    assert [name for name, field in form.fields.items() if not field.help_text] == []


@pytest.mark.parametrize("model", [each._meta.model_name for each in models()])
def test_forms_show_no_object_of_the_code(boss: Client, model: str) -> None:
    tenant = a_tenant("ours")
    builders.a_runner()
    [kind] = [each for each in models() if each._meta.model_name == model]
    label = f"admin:{kind._meta.app_label}_{model}"
    ids = [row.pk for row in kind._default_manager.all()[:2]]
    paths = [reverse(f"{label}_add"), *(reverse(f"{label}_change", args=[pk]) for pk in ids)]
    pages = [boss.get(path).content.decode() for path in paths]
    shown = [re.findall(r"&lt;.{0,60}(?: object at 0x|Default)", page) for page in pages]
    assert shown == [[]] * len(paths), tenant


def test_forms_of_users_have_no_permissions_of_django(boss: Client) -> None:
    user = builders.a_user("ada")
    change = boss.get(reverse("admin:auth_user_change", args=[user.pk])).content.decode()
    add = boss.get(reverse("admin:auth_user_add")).content.decode()
    assert "user_permissions" not in change
    assert "Single Sign-On" not in add
    assert "The next page has the memberships" in add


def test_user_is_added_and_gets_a_membership(boss: Client) -> None:
    product = builders.a_product("web")
    password = {"password1": "kestrel-7-belt", "password2": "kestrel-7-belt"}
    boss.post(reverse("admin:auth_user_add"), {"username": "ana", **password})
    ana = User.objects.get(username="ana")
    given = {"product": str(product.pk), "user": str(ana.pk), "role": "operator"}
    boss.post(reverse("admin:products_membership_add"), given)
    assert Product.objects.operable_by(ana).get() == product


def test_times_say_their_zone(boss: Client) -> None:
    Product.objects.create(name="old")
    Product.objects.update(created_at=datetime(2026, 3, 1, 15, 4, 5, tzinfo=UTC))
    product = Product.objects.get()
    page = boss.get(reverse("admin:products_product_change", args=[product.pk])).content.decode()
    assert "1 Mar 2026 15:04:05 UTC" in page
    assert "All times are UTC" in page
