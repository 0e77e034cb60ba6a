"""Refs that lead to no commit: their events end with a sentence and delay no other event."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.db.models import F
from django.db.models.functions import Now
from pytest_django import Settings

from conveyor_site.deliver import SLOW, deliver_due, deliverable
from products.models import Configuration, Event, OutboxRow, Product, Source
from products.polling import poll_source
from runs.models import BeltRun
from tests import builders
from tests.belts.git_repositories import Repository, git

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

FILE = """\
product: gem
triggers:
  - scm-event:
    type: tag
    belts: build
belts:
  - name: build
    jobs:
      - {name: compile, commands: make}
"""


@pytest.fixture
def repository(tmp_path: Path, settings: Settings) -> Repository:
    settings.CONVEYOR_DATA_DIR = tmp_path / "data"
    Configuration.objects.create(allow_local_sources=True)
    return Repository(tmp_path, "gem")


@pytest.fixture
def source(repository: Repository) -> Source:
    repository.commit(FILE)
    product = builders.a_product("gem", managed_by=Product.Manager.FILE)
    source = builders.a_source(product, url=str(repository.bare), default_branch="")
    assert poll_source(source.pk) == 0
    return source


def push_tags(repository: Repository, **tags: str) -> None:
    for name, place in tags.items():
        git(repository.work, "tag", name, place)
    git(repository.work, "push", "--quiet", "origin", "--tags")


def deliver_once_all_is_due() -> int:
    OutboxRow.objects.update(due_at=F("due_at") - timedelta(hours=1))
    return deliver_due(SLOW, limit=1)


@pytest.mark.parametrize("place", ["HEAD:.conveyor.yml", "HEAD^{tree}"])
def test_tag_of_no_commit_ends_its_event_once(
    repository: Repository, source: Source, place: str
) -> None:
    push_tags(repository, key=place)
    assert poll_source(source.pk) == 1
    assert deliver_once_all_is_due() == 1
    event = Event.objects.get()
    assert event.handled_at is not None
    assert "it is no commit. Move the tag to a commit." in event.outcome
    assert not OutboxRow.objects.exists()


def test_tag_of_a_file_leaves_the_next_tag_its_run(repository: Repository, source: Source) -> None:
    push_tags(repository, key="HEAD:.conveyor.yml", v1="HEAD")
    assert poll_source(source.pk) == 2
    assert [deliver_once_all_is_due() for _ in range(2)] == [1, 1]
    assert BeltRun.objects.get().ref == "refs/tags/v1"


def test_commit_that_was_pushed_over_ends_its_event(repository: Repository, source: Source) -> None:
    git(repository.work, "checkout", "--quiet", "-B", "topic")
    repository.commit(FILE + "# topic\n", branch="topic")
    assert poll_source(source.pk) == 1
    git(repository.work, "commit", "--quiet", "--amend", "-m", "Other")
    git(repository.work, "push", "--quiet", "--force", "origin", "topic")
    git(repository.bare, "reflog", "expire", "--expire=now", "--all")
    git(repository.bare, "gc", "--quiet", "--prune=now")
    assert deliver_once_all_is_due() == 1
    assert "has no commit" in Event.objects.get().outcome


def test_row_that_fails_is_due_after_the_others_of_its_product(
    repository: Repository, source: Source
) -> None:
    push_tags(repository, v1="HEAD", v2="HEAD", v3="HEAD")
    assert poll_source(source.pk) == 3
    repository.bare.rename(repository.bare.with_suffix(".away"))
    tried = []
    for _ in range(3):
        OutboxRow.objects.update(due_at=F("due_at") - timedelta(hours=1))
        [first] = deliverable(SLOW, limit=1)
        tried.append(first)
        assert deliver_due(SLOW, limit=1) == 0
    assert len(set(tried)) == 3
    assert OutboxRow.objects.filter(due_at__lte=Now()).count() == 0
