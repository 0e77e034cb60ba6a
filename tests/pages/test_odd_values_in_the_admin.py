"""The admin answers odd values in addresses and forms in bounded time, and never by 500."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db.models import ForeignKey, ManyToManyField, Model
from django.test import Client
from django.urls import reverse

from products.models import Membership, Product
from tests import builders
from tests.api.world import a_tenant

pytestmark = [pytest.mark.django_db, pytest.mark.database]

HUGE = "9" * 20
NOBODYS = "00000000-0000-4000-8000-000000000000"
DEEP = "[" * 3000
ODD = ("x", "\0", HUGE, NOBODYS, DEEP)
#: No form has more rows than this, whatever its management form says.
MOST_FORMS = 200
LABELS = sorted(each._meta.label_lower for each in admin.site._registry)
PATHS = ("", "x/", "%00/", f"{HUGE}/", "../", "%E2%80%A8/")


@pytest.fixture
def boss(db: None) -> Client:
    tenant = a_tenant("ours")
    builders.a_runner()
    builders.a_token(tenant.user)
    Membership.objects.create(product=tenant.product, user=builders.a_user())
    Group.objects.create(name="some")
    client = Client(raise_request_exception=False)
    client.force_login(builders.a_user("boss", staff=True))
    return client


def model_of(label: str) -> type[Model]:
    return next(each for each in admin.site._registry if each._meta.label_lower == label)


def path_of(model: type[Model], view: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{view}", args=args)


def names_of(model: type[Model]) -> list[str]:
    return [each.name for each in (*model._meta.get_fields(),) if not each.auto_created]


def keys_of(model: type[Model]) -> list[str]:
    fields = model._meta.get_fields()
    return [each.name for each in fields if isinstance(each, (ForeignKey, ManyToManyField))]


def forms_of(model: type[Model]) -> Iterator[str]:
    """Yield the addresses of the form that adds a row, and of one that changes it."""
    yield path_of(model, "add")
    row = model._default_manager.order_by("pk").first()
    if row is not None:
        yield path_of(model, "change", row.pk)


def managed(answer: Any) -> dict[str, str]:
    """Return what the management forms of a page send."""
    inlines = (answer.context or {}).get("inline_admin_formsets", [])
    return {
        f"{each.formset.prefix}-{name}": str(value)
        for each in inlines
        for name, value in each.formset.management_form.initial.items()
    }


def checked(answer: Any) -> Any:
    assert answer.status_code < 500, answer.request
    for each in (answer.context or {}).get("inline_admin_formsets", []):
        assert len(each.formset.forms) <= MOST_FORMS
    return answer


@pytest.mark.parametrize("label", LABELS)
def test_form_of_admin_survives_odd_values(boss: Client, label: str) -> None:
    model = model_of(label)
    for path in forms_of(model):
        sent = managed(checked(boss.get(path)))
        inner = [
            f"{prefix.removesuffix('-TOTAL_FORMS')}-0-{name}"
            for prefix in sent
            if prefix.endswith("-TOTAL_FORMS")
            for name in ("id", "product", "user", "belt", "credential", "name", "url")
        ]
        names = names_of(model)
        for odd in ODD:
            checked(boss.get(path, dict.fromkeys(names, odd)))
            checked(boss.post(path, {**sent, **dict.fromkeys(names, odd)}))
            ones = {key: "1" for key in sent if key.endswith("-TOTAL_FORMS")}
            checked(boss.post(path, {**sent, **ones, **dict.fromkeys(inner, odd)}))


@pytest.mark.parametrize("label", LABELS)
def test_form_of_admin_survives_odd_counts_of_rows(boss: Client, label: str) -> None:
    for path in forms_of(model_of(label)):
        sent = managed(boss.get(path))
        totals = [key for key in sent if key.endswith("-TOTAL_FORMS")]
        for changes in (
            *({key: HUGE} for key in totals),
            *(dict.fromkeys(sent, odd) for odd in (HUGE, "-1", "x")),
        ):
            checked(boss.post(path, {**sent, **changes}))


@pytest.mark.parametrize("label", LABELS)
def test_list_of_admin_survives_odd_parameters(boss: Client, label: str) -> None:
    model = model_of(label)
    lists = path_of(model, "changelist")
    own = ("q", "p", "o", "e", "_to_field")
    keys = [f"{name}__id__exact" for name in keys_of(model)]
    for odd in ("x", "\0", HUGE):
        for name in (*own, *keys, *names_of(model)):
            checked(boss.get(lists, {name: odd}))
        chosen = {"action": "delete_selected", "_selected_action": odd, "post": "yes"}
        checked(boss.post(lists, chosen))
    checked(boss.get(lists, {"q": "a.b " * 3000}))


@pytest.mark.parametrize("label", LABELS)
def test_address_of_admin_survives_odd_keys(boss: Client, label: str) -> None:
    lists = path_of(model_of(label), "changelist")
    for key in PATHS:
        for view in ("", "change/", "delete/", "history/"):
            checked(boss.get(f"{lists}{key}{view}"))


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_options_of_autocompletion_survive_odd_terms(boss: Client, odd: str) -> None:
    for label in LABELS:
        model = model_of(label)
        for name in keys_of(model)[:1]:
            asked: dict[str, str] = {
                "app_label": model._meta.app_label,
                "model_name": str(model._meta.model_name),
                "field_name": name,
            }
            checked(boss.get(reverse("admin:autocomplete"), {**asked, "term": odd}))
            checked(boss.get(reverse("admin:autocomplete"), {**asked, "term": "a", "page": odd}))
            checked(boss.get(reverse("admin:autocomplete"), {**asked, "field_name": odd}))


@pytest.mark.parametrize(
    "address", ["/admin/products/duty/%00/change/", "/admin/runs/jobrun/?x=%00"]
)
def test_null_character_in_an_address_is_refused_with_a_sentence(
    boss: Client, address: str
) -> None:
    answer = boss.get(address)
    assert answer.status_code == 400
    assert "The address has a NUL character (%00). Remove it." in answer.content.decode()


def test_way_to_a_page_of_nothing_is_not_found(boss: Client) -> None:
    kinds = [ContentType.objects.get_for_model(each).pk for each in (Product, User)]
    for kind in (*kinds, 0, HUGE, "x"):
        for key in ("0", "x", HUGE, NOBODYS):
            assert boss.get(f"/admin/r/{kind}/{key}/").status_code == 404
    product = Product.objects.get(name="ours")
    kind = ContentType.objects.get_for_model(Product).pk
    assert boss.get(f"/admin/r/{kind}/{product.pk}/")["Location"].endswith("/products/ours/")


def test_odd_value_of_a_choice_is_refused_with_a_sentence(boss: Client) -> None:
    answer = boss.post(reverse("admin:products_membership_add"), {"product": "x", "user": "1"})
    assert "product" in answer.context["adminform"].form.errors
    user = User.objects.get(username="boss")
    given = {"product": "x", "user": str(user.pk)}
    page = boss.get(reverse("admin:products_membership_add"), given).content.decode()
    assert f'<option value="{user.pk}" selected>' in page


@pytest.mark.parametrize("label", LABELS)
def test_form_that_adds_a_row_shows_no_object(boss: Client, label: str) -> None:
    assert " object at 0x" not in boss.get(path_of(model_of(label), "add")).content.decode()
