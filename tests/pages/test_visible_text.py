"""Marks of direction, separators and control characters reach no page as they are."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from belts.models import Belt, Job
from products.models import Event, OutboxRow
from runners.models import Fleet
from runs.models import Attempt, BeltRun, Edge, JobRun, Output, RunEvent
from tests import builders
from tests.api.world import Tenant, a_tenant

pytestmark = [pytest.mark.django_db, pytest.mark.database]

NUMBERS = (0x07, 0x1B, 0x85, 0x61C, 0x200E, 0x200F, 0x2028, 0x2029, 0x202E, *range(0x2066, 0x206A))
HIDDEN = "".join(map(chr, NUMBERS))
ODD = f"begin{HIDDEN}end"
MODELS = ("belts", "products", "runs", "runners")


@pytest.fixture
def boss(db: None) -> Client:
    client = Client()
    client.force_login(builders.a_user("boss", staff=True))
    return client


@pytest.fixture
def ours(db: None) -> Tenant:
    tenant = a_tenant("ours")
    BeltRun.objects.update(branch=ODD, ref=ODD, cause=ODD, parameters={"NAME": ODD})
    JobRun.objects.update(message=ODD)
    Attempt.objects.update(message=ODD, runner_name=ODD)
    RunEvent.objects.update(message=ODD, by=ODD)
    Event.objects.update(branch=ODD, ref=ODD, outcome=ODD)
    Edge.objects.update(note=ODD, started=None)
    Output.objects.update(value=ODD)
    Belt.objects.update(description=ODD)
    Job.objects.update(commands=ODD)
    builders.a_runner(ODD, host=ODD, queues=[ODD], version=ODD, isolation_report=[ODD])
    Fleet.objects.update(description=ODD)
    OutboxRow.objects.create(kind="import", key=ODD, error=ODD)
    tenant.job_run.consumed.update(value=ODD, supplier_label=ODD)
    tenant.product.source.error = ODD
    tenant.product.source.save()
    return tenant


def hidden_in(page: str) -> set[str]:
    return set(HIDDEN) & set(page)


def test_pages_show_no_hidden_character(boss: Client, ours: Tenant) -> None:
    rows: tuple[Any, ...] = (ours.product, ours.belt, ours.run, ours.job_run)
    paths = [row.get_absolute_url() for row in rows]
    pages = {
        path: boss.get(path).content.decode() for path in ["/", "/products/", "/runners/", *paths]
    }
    assert {path: hidden_in(page) for path, page in pages.items() if hidden_in(page)} == {}
    assert r"begin\x07\x1b\x85\u061c" in pages[ours.run.get_absolute_url()]
    assert pages["/runners/"].count(r"begin\x07\x1b\x85\u061c") >= 6


def test_lists_of_the_admin_show_no_hidden_character(boss: Client, ours: Tenant) -> None:
    labels = [each._meta for each in admin.site._registry if each._meta.app_label in MODELS]
    names = [f"admin:{each.app_label}_{each.model_name}_changelist" for each in labels]
    pages = {name: boss.get(reverse(name)).content.decode() for name in names}
    assert {name: hidden_in(page) for name, page in pages.items() if hidden_in(page)} == {}


def test_field_of_a_form_keeps_its_characters(boss: Client, ours: Tenant) -> None:
    job = ours.belt.jobs.order_by("position").first()
    assert job is not None
    page = boss.get(reverse("admin:belts_job_change", args=[job.pk])).content.decode()
    assert f">\n{ODD}</textarea>" in page
