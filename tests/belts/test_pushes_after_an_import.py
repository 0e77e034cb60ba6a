"""Pushes between an import and the first poll: the first poll finds them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings

from belts.importing import ImportOptions, import_sources
from belts.models import Belt
from conveyor_site.deliver import SLOW, deliver_due
from products.models import Configuration, Event, Source
from products.polling import poll_source
from tests.belts.git_repositories import Repository, git
from tests.engine import deliver_all

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

FIRST = "product: gem\nbelts:\n  - name: first\n    jobs: [{name: make, commands: make}]\n"
SECOND = FIRST.replace("name: first", "name: second")


@pytest.fixture
def repository(tmp_path: Path, settings: Settings) -> Repository:
    settings.CONVEYOR_DATA_DIR = tmp_path / "data"
    Configuration.objects.create(allow_local_sources=True)
    repository = Repository(tmp_path, "gem")
    repository.commit(FIRST)
    return repository


def imported(label: str | Path) -> Source:
    [outcome] = import_sources([str(label)], ImportOptions())
    assert not outcome.failed, outcome.error
    return Source.objects.get()


def events() -> list[tuple[str, list[str], str]]:
    return [(each.ref, each.kinds, each.commit) for each in Event.objects.order_by("id")]


@pytest.mark.parametrize("what", ["bare", "work"])
def test_first_poll_finds_a_push_after_the_import(repository: Repository, what: str) -> None:
    source = imported(getattr(repository, what))
    commit = repository.commit(SECOND)
    assert poll_source(source.pk) == 1
    assert events() == [("refs/heads/main", ["push", "merge"], commit)]
    deliver_all()
    assert Belt.objects.filter(name="second", archived_at=None).exists()
    assert poll_source(source.pk) == 0


def test_first_poll_makes_no_event_without_a_push(repository: Repository) -> None:
    source = imported(repository.bare)
    assert poll_source(source.pk) == 0
    assert deliver_due(SLOW, limit=10) == 0


def test_first_poll_ignores_that_an_imported_commit_is_not_pushed(repository: Repository) -> None:
    (repository.work / ".conveyor.yml").write_text(SECOND)
    git(repository.work, "commit", "--quiet", "--all", "-m", "Not pushed")
    source = imported(repository.work)
    assert poll_source(source.pk) == 0
    deliver_all()
    assert Belt.objects.filter(name="second", archived_at=None).exists()


def test_check_of_the_file_in_a_checkout_takes_its_remote(repository: Repository) -> None:
    file = repository.work / ".conveyor.yml"
    [outcome] = import_sources([str(file)], ImportOptions(check=True))
    assert "product.no-source" not in [each.code for each in outcome.problems]


def test_import_warns_of_a_file_that_is_not_pushed(repository: Repository) -> None:
    [pushed] = import_sources([str(repository.work)], ImportOptions())
    assert "file.not-pushed" not in [each.code for each in pushed.problems]
    (repository.work / ".conveyor.yml").write_text(SECOND)
    [changed] = import_sources([str(repository.work)], ImportOptions())
    assert "file.not-pushed" in [each.code for each in changed.problems]
    [checked] = import_sources([str(repository.work)], ImportOptions(check=True))
    assert "file.not-pushed" not in [each.code for each in checked.problems]
