"""Lists of the admin: what is found, and what may be done."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import NoReverseMatch, reverse
from django_celery_results.models import GroupResult, TaskResult

from belts.models import Belt
from products.models import Product
from runs.models import JobRun
from tests import builders

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def boss(client: Client, db: None) -> Client:
    client.force_login(builders.a_user("boss", staff=True))
    return client


def found(boss: Client, name: str, words: str) -> list[str]:
    answer: Any = boss.get(reverse(f"admin:{name}_changelist"), {"q": words})
    return sorted(str(each) for each in answer.context["cl"].queryset)


@pytest.fixture
def gamma(db: None) -> Belt:
    gamma, long = builders.a_product("gamma"), builders.a_product("long")
    builders.a_belt("short", product=gamma)
    builders.a_belt("other", product=long)
    return builders.a_belt("long", product=gamma, jobs=["compile"])


def test_a_belt_and_a_job_are_found_by_the_names_that_options_have(
    boss: Client, gamma: Belt
) -> None:
    assert found(boss, "belts_belt", "gamma.long") == ["gamma.long"]
    assert found(boss, "belts_belt", "long") == ["gamma.long", "long.other"]
    assert found(boss, "belts_belt", "gamma.none") == []
    assert found(boss, "belts_job", "gamma.long.compile") == ["gamma.long.compile"]


def test_options_of_a_belt_are_found_by_what_they_read(boss: Client, gamma: Belt) -> None:
    asked = {"app_label": "belts", "model_name": "job", "field_name": "belt", "term": "gamma.long"}
    answer = boss.get(reverse("admin:autocomplete"), asked).json()
    assert [each["text"] for each in answer["results"]] == ["gamma.long"]


def test_runs_are_found_by_the_names_of_their_belts(boss: Client, gamma: Belt) -> None:
    builders.a_belt_run(["compile"], belt=gamma)
    JobRun.objects.update(queue="gpu.large")
    assert found(boss, "runs_beltrun", "gamma.long") == ["gamma.long #1"]
    assert found(boss, "runs_jobrun", "gamma.long") == ["gamma.long #1: compile"]
    assert found(boss, "runs_jobrun", "gpu.large") == ["gamma.long #1: compile"]
    assert found(boss, "runs_jobrun", "gamma.short") == []


def test_results_of_tasks_are_looked_at_and_not_written(boss: Client) -> None:
    result = TaskResult.objects.create(task_id="one", task_name="deliver", status="SUCCESS")
    name = "admin:django_celery_results_taskresult"
    assert "deliver" in boss.get(reverse(f"{name}_changelist")).content.decode()
    page = boss.get(reverse(f"{name}_change", args=[result.pk]))
    assert page.status_code == 200
    assert boss.get(reverse(f"{name}_add")).status_code == 403
    assert boss.post(reverse(f"{name}_change", args=[result.pk]), {}).status_code == 403
    assert GroupResult not in admin.site._registry
    with pytest.raises(NoReverseMatch):
        reverse("admin:django_celery_results_groupresult_changelist")


def test_one_is_no_plural(boss: Client) -> None:
    product = builders.a_product("filed", managed_by=Product.Manager.FILE)
    given = {"action": "detach_products", "_selected_action": [str(product.pk)]}
    page = boss.post(reverse("admin:products_product_changelist"), given, follow=True)
    assert "Detached 1 product; imports leave it alone now." in page.content.decode()
