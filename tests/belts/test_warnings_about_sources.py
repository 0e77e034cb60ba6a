"""What is said of a belt file because of the product's source follows that source."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from belts.importing import ImportOptions, import_sources
from belts.models import CommitFile
from belts.ownership import detach
from products.models import Product, Source
from tests import builders
from tests.belts.git_repositories import Repository, git

pytestmark = [pytest.mark.django_db, pytest.mark.database]

HERE, ELSEWHERE = "https://git.example/acme/thing.git", "https://git.example/acme/other.git"
FILE = """\
product: thing
triggers:
  - scm-event: {type: tag}
    belts: biuld
belts:
  - name: build
    jobs:
      - {name: compile, commands: make}
"""


@pytest.fixture
def boss(client: Client, db: None) -> Client:
    client.force_login(builders.a_user("boss", staff=True))
    return client


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path)
    repository.commit(FILE)
    return repository


@pytest.fixture
def product(repository: Repository) -> Product:
    """A product of a checkout whose remote this site does not allow, so it has no source."""
    imported(repository.work, ref="main")
    return Product.objects.get()


def imported(place: Path, *, ref: str = "", source: str = "") -> None:
    assert not import_sources([str(place)], ImportOptions(ref, source))[0].failed


def codes() -> list[str]:
    return [each["code"] for each in CommitFile.objects.get().problems]


def save_product(boss: Client, product: Product, **source: str) -> None:
    given = {
        "memberships-TOTAL_FORMS": "0",
        "memberships-INITIAL_FORMS": "0",
        "source-TOTAL_FORMS": "1",
        "source-INITIAL_FORMS": "1" if "source-0-id" in source else "0",
        "source-0-product": str(product.pk),
        "source-0-path": ".conveyor.yml",
        "source-0-poll": "on",
        **source,
    }
    response = boss.post(reverse("admin:products_product_change", args=[product.pk]), given)
    assert response.status_code == 302


def save_source(boss: Client, source: Source, url: str) -> None:
    given = {"url": url, "path": ".conveyor.yml", "poll": "on"}
    path = reverse("admin:products_source_change", args=[source.pk])
    assert boss.post(path, given).status_code == 302


def test_that_there_is_no_source_is_said_no_more_once_there_is_one(
    boss: Client, product: Product
) -> None:
    assert codes() == ["product.no-source", "trigger.unknown-belt"]
    assert "allows no such" in boss.get(product.get_absolute_url()).content.decode()

    save_product(boss, product, **{"source-0-url": HERE})

    assert Source.objects.get().url == HERE
    assert codes() == ["trigger.unknown-belt"]
    assert "allows no such" not in boss.get(product.get_absolute_url()).content.decode()


def test_that_the_source_is_gone_is_said(boss: Client, product: Product) -> None:
    save_product(boss, product, **{"source-0-url": HERE})
    source = Source.objects.get()
    path = reverse("admin:products_source_delete", args=[source.pk])
    assert boss.post(path, {"post": "yes"}).status_code == 302

    assert codes() == ["product.no-source", "trigger.unknown-belt"]


def test_that_sources_are_gone_is_said(boss: Client, product: Product) -> None:
    save_product(boss, product, **{"source-0-url": HERE})
    chosen = [str(each.pk) for each in Source.objects.all()]
    given = {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}
    assert boss.post(reverse("admin:products_source_changelist"), given).status_code == 302

    assert not Source.objects.exists()
    assert codes() == ["product.no-source", "trigger.unknown-belt"]


@pytest.mark.parametrize("form", ["product", "source"])
def test_triggers_of_another_repository_follow_the_source(
    boss: Client, tmp_path: Path, form: str
) -> None:
    place = tmp_path / "thing.yml"
    place.write_text(FILE.replace("type: tag", f"type: tag, repo: '{HERE}'"))
    imported(place)
    assert codes() == ["trigger.unknown-belt"]
    source = Source.objects.get()

    def move(url: str) -> None:
        if form == "source":
            save_source(boss, source, url)
        else:
            given = {"source-0-id": str(source.pk), "source-0-url": url}
            save_product(boss, source.product, **given)

    move(ELSEWHERE)

    deaf = [each for each in CommitFile.objects.get().problems if "repo" in each["path"]]
    assert [(each["code"], each["line"]) for each in deaf] == [("trigger.other-repository", 3)]
    assert "repo" in deaf[0]["excerpt"]
    move(HERE)
    assert codes() == ["trigger.unknown-belt"]


def test_an_import_of_another_branch_looks_at_the_shown_file_again(
    repository: Repository, product: Product
) -> None:
    repository.commit(FILE.replace("make", "ninja"), branch="topic")
    git(repository.work, "checkout", "--quiet", "main")
    imported(repository.work, ref="topic", source=HERE)

    shown = CommitFile.objects.get(on_default_branch=True)
    assert [each["code"] for each in shown.problems] == ["trigger.unknown-belt"]


def test_a_product_of_the_admin_has_no_problems_of_a_file(boss: Client, product: Product) -> None:
    assert "The belt file" in boss.get(product.get_absolute_url()).content.decode()
    detach(product)

    page = boss.get(product.get_absolute_url()).content.decode()
    assert "The belt file" not in page
    row = boss.get(reverse("admin:products_product_change", args=[product.pk])).content.decode()
    assert "not in use, the admin manages the product" in row
