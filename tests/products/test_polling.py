from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from products.catalogue import archive_product
from products.models import Configuration, Event, OutboxRow, Product, SeenRef, Source
from products.polling import poll_due_sources, poll_source
from products.signals import outbox_written
from products.sources import set_source
from tests.builders import a_credential, a_source, an_event
from tests.products.repositories import Repository, a_git_server

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.database,
    pytest.mark.usefixtures("local_sources"),
]


def events() -> list[tuple[str, list[str], str]]:
    rows = Event.objects.order_by("pk")
    return [(event.ref, event.kinds, event.commit) for event in rows]


def outbox() -> list[tuple[str, dict[str, Any]]]:
    return [(row.kind, row.payload) for row in OutboxRow.objects.order_by("pk")]


def make_due() -> None:
    Source.objects.update(due_at=Now() - timedelta(seconds=1))


# --- What makes events ----------------------------------------------------------------------------
def test_the_first_look_records_and_makes_no_event(repository: Repository) -> None:
    commit = repository.commit()
    repository.branch("side")
    repository.git("tag", "v1")
    source = a_source(url=repository.url, default_branch="")
    assert poll_source(source.pk) == 0
    source.refresh_from_db()
    assert source.first_seen_at is not None
    assert (source.default_branch, source.head_commit, source.error) == ("main", commit, "")
    assert source.seen_refs.count() == 3
    assert (events(), outbox()) == ([], [])


def test_a_new_commit_of_the_default_branch_is_a_push_and_a_merge_once(
    source: Source, repository: Repository
) -> None:
    commit = repository.commit("two")
    assert [poll_source(source.pk), poll_source(source.pk)] == [1, 0]
    assert events() == [("refs/heads/main", ["push", "merge"], commit)]
    event = Event.objects.get()
    assert (event.branch, event.origin, event.source, event.product) == (
        "main",
        "poll",
        source,
        source.product,
    )
    assert outbox() == [("event", {"event": str(event.pk)})]


def test_a_new_branch_is_a_push_and_a_new_tag_a_tag(source: Source, repository: Repository) -> None:
    side = repository.branch("side")
    repository.git("tag", "-a", "v1", "-m", "one")
    assert poll_source(source.pk) == 2
    head = repository.git("rev-parse", "main")
    assert events() == [("refs/heads/side", ["push"], side), ("refs/tags/v1", ["tag"], head)]


def test_several_commits_between_two_looks_are_one_event(
    source: Source, repository: Repository
) -> None:
    repository.commit("two")
    last = repository.commit("three")
    assert poll_source(source.pk) == 1
    assert Event.objects.get().commit == last


def test_a_first_push_to_an_empty_repository_is_an_event(repository: Repository) -> None:
    source = a_source(url=repository.url, default_branch="")
    assert poll_source(source.pk) == 0
    commit = repository.commit()
    assert poll_source(source.pk) == 1
    assert events() == [("refs/heads/main", ["push", "merge"], commit)]


def test_going_back_to_a_commit_that_had_its_event_makes_no_other(
    source: Source, repository: Repository
) -> None:
    second = repository.commit("two")
    poll_source(source.pk)
    third = repository.commit("three")
    poll_source(source.pk)
    repository.git("reset", "-q", "--hard", second)
    assert poll_source(source.pk) == 0
    assert SeenRef.objects.get().commit == second
    repository.git("reset", "-q", "--hard", third)
    assert poll_source(source.pk) == 0
    assert len(events()) == 2


def test_refs_with_long_names_are_reported_and_others_polled(
    source: Source, repository: Repository
) -> None:
    branch, tag = "/".join(["b" * 100] * 3), "/".join(["t" * 100] * 5)
    repository.git("branch", branch)
    repository.git("tag", "-a", tag, "-m", "long")
    side = repository.branch("side")
    assert poll_source(source.pk) == 1
    assert events() == [("refs/heads/side", ["push"], side)]
    source.refresh_from_db()
    assert source.error == ""
    assert source.warning == (
        f"Nothing starts for these branches and tags: heads/{branch[:54]}…, tags/{tag[:55]}…. "
        "A branch may have at most 255 characters, a tag 490, and both must be UTF-8. Rename them "
        "in the repository."
    )
    repository.git("branch", "-D", branch)
    repository.git("tag", "-d", tag)
    assert poll_source(source.pk) == 0
    source.refresh_from_db()
    assert source.warning == ""


def test_annotated_tag_of_the_longest_name_is_at_its_commit(
    source: Source, repository: Repository
) -> None:
    tag = "/".join(["t" * 97] * 5)
    assert len(tag) == 489
    repository.git("tag", "-a", tag, "-m", "long")
    assert poll_source(source.pk) == 1
    assert events() == [(f"refs/tags/{tag}", ["tag"], repository.git("rev-parse", "main"))]


def test_a_deleted_branch_is_forgotten_and_may_come_again(
    source: Source, repository: Repository
) -> None:
    repository.branch("side")
    poll_source(source.pk)
    repository.git("branch", "-q", "-D", "side")
    assert poll_source(source.pk) == 0
    assert [row.ref for row in SeenRef.objects.all()] == ["refs/heads/main"]
    again = repository.branch("side", "another")
    assert poll_source(source.pk) == 1
    assert events()[-1] == ("refs/heads/side", ["push"], again)


def test_another_default_branch_at_the_same_commit_is_no_merge(
    source: Source, repository: Repository
) -> None:
    repository.git("checkout", "-q", "-b", "trunk")
    assert poll_source(source.pk) == 1
    source.refresh_from_db()
    assert source.default_branch == "trunk"
    assert Event.objects.get().kinds == ["push"]


def test_event_of_a_webhook_is_not_repeated_by_a_poll(
    source: Source, repository: Repository
) -> None:
    commit = repository.commit("two")
    an_event(source.product, key=f"refs/heads/main@{commit}", commit=commit)
    assert poll_source(source.pk) == 0
    assert (len(events()), outbox()) == (1, [])


def test_many_changes_are_written_in_pieces_until_all_are_there(
    source: Source, repository: Repository
) -> None:
    head = repository.commit("two")
    lines = "".join(f"create refs/tags/t{number} {head}\n" for number in range(230))
    repository.git("update-ref", "--stdin", given=lines)
    assert poll_source(source.pk) == 200
    assert Event.objects.order_by("pk")[0].kinds == ["push", "merge"]
    assert poll_due_sources() == 31
    assert Event.objects.count() == OutboxRow.objects.count() == 231


# --- Imports --------------------------------------------------------------------------------------
def test_a_new_head_of_a_product_of_a_file_is_imported_first(
    source: Source, repository: Repository
) -> None:
    Product.objects.update(managed_by=Product.Manager.FILE)
    commit = repository.commit("two")
    repository.branch("side")
    assert poll_source(source.pk) == 2
    assert [kind for kind, _ in outbox()] == ["import", "event", "event"]
    assert outbox()[0][1] == {"product": str(source.product_id), "commit": commit}


def test_the_admins_products_and_other_branches_import_nothing(
    source: Source, repository: Repository
) -> None:
    repository.commit("two")
    poll_source(source.pk)
    Product.objects.update(managed_by=Product.Manager.FILE)
    repository.branch("side")
    poll_source(source.pk)
    assert [kind for kind, _ in outbox()] == ["event", "event"]


def test_written_rows_are_published_after_the_commit(
    source: Source, repository: Repository, django_capture_on_commit_callbacks: Any
) -> None:
    told: list[Any] = []

    def hear(rows: list[Any], **_: Any) -> None:
        told.extend(rows)

    outbox_written.connect(hear)
    try:
        repository.commit("two")
        with django_capture_on_commit_callbacks(execute=True):
            poll_source(source.pk)
    finally:
        outbox_written.disconnect(hear)
    assert [(kind, payload) for _, kind, payload in told] == outbox()


# --- Claims ---------------------------------------------------------------------------------------
def test_only_due_sources_are_polled_and_become_due_again(
    source: Source, repository: Repository
) -> None:
    repository.commit("two")
    assert poll_due_sources() == 0
    make_due()
    assert poll_due_sources() == 1
    source.refresh_from_db()
    assert source.polled_at is not None
    assert source.due_at - source.polled_at == timedelta(seconds=30)
    assert source.claimed_until is None


def test_a_source_may_have_an_interval_of_its_own(repository: Repository) -> None:
    repository.commit()
    source = a_source(url=repository.url, poll_interval_s=5)
    poll_source(source.pk)
    source.refresh_from_db()
    assert source.polled_at is not None
    assert source.due_at - source.polled_at == timedelta(seconds=5)


def test_archived_products_and_sources_that_are_not_to_be_polled_are_left_alone(
    source: Source, repository: Repository
) -> None:
    repository.commit("two")
    make_due()
    Source.objects.update(poll=False)
    assert poll_due_sources() == 0
    Source.objects.update(poll=True)
    archive_product(source.product)
    assert (poll_due_sources(), poll_source(source.pk)) == (0, 0)
    source.refresh_from_db()
    assert source.claimed_until is None


def test_a_claimed_source_is_left_to_who_claimed_it(source: Source, repository: Repository) -> None:
    repository.commit("two")
    Source.objects.update(claimed_until=Now() + timedelta(seconds=30))
    make_due()
    assert (poll_due_sources(), poll_source(source.pk)) == (0, 0)
    Source.objects.update(claimed_until=Now() - timedelta(seconds=1))
    assert poll_due_sources() == 1


def test_a_look_that_comes_too_late_writes_nothing(
    source: Source, repository: Repository, tmp_path: Path
) -> None:
    """While a server is being asked, the product is given another repository."""
    repository.commit("two")
    other = Repository(tmp_path / "other")
    other.commit("other")
    done = threading.Event()

    def change(*_: object) -> None:
        set_source(source.product, other.url)
        done.set()

    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert done.wait(10)

    before = signal.signal(signal.SIGUSR1, change)
    try:
        with a_git_server(tmp_path, meanwhile=interrupt) as server:
            Source.objects.update(url=server.url("repository/.git"))
            assert poll_source(source.pk) == 0
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert done.is_set()
    source.refresh_from_db()
    assert (source.url, source.first_seen_at, source.head_commit) == (other.url, None, "")
    assert (events(), SeenRef.objects.count()) == ([], 0)


@pytest.mark.django_db(transaction=True)
def test_a_look_by_many_at_once_is_one_look(repository: Repository) -> None:
    repository.commit("one")
    source = a_source(url=repository.url)
    poll_source(source.pk)
    repository.commit("two")
    make_due()
    together = Barrier(6)

    def look(_: int) -> int:
        together.wait(10)
        try:
            return poll_due_sources()
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(look, range(6))) == 1
    assert (Event.objects.count(), OutboxRow.objects.count()) == (1, 1)


# --- Failures -------------------------------------------------------------------------------------
def test_failure_is_stored_until_the_next_success(source: Source, repository: Repository) -> None:
    away = repository.folder.with_name("away")
    repository.folder.rename(away)
    assert poll_source(source.pk) == 0
    source.refresh_from_db()
    assert "there is no repository at this address" in source.error
    away.rename(repository.folder)
    repository.commit("two")
    assert poll_source(source.pk) == 1
    source.refresh_from_db()
    assert source.error == ""


def test_failures_are_looked_at_ever_less_often_up_to_ten_minutes(tmp_path: Path) -> None:
    source = a_source(url=str(tmp_path / "nothing"), poll_interval_s=100)
    delays = []
    for _ in range(5):
        poll_source(source.pk)
        source.refresh_from_db()
        assert source.polled_at is not None
        delays.append((source.due_at - source.polled_at).total_seconds())
    assert delays == [100, 200, 400, 600, 600]


def test_one_source_that_fails_does_not_keep_the_others(
    source: Source, repository: Repository, tmp_path: Path
) -> None:
    a_source(url=str(tmp_path / "nothing"))
    a_source(url="http://127.0.0.1:1/x.git")
    a_source(url="ext::sh -c id")
    a_source(url=repository.url, credential=a_credential())
    repository.commit("two")
    make_due()
    assert poll_due_sources() == 1
    errors = Source.objects.exclude(error="").order_by("pk").values_list("error", flat=True)
    assert [error.split(" ")[0] for error in errors] == ["The", "The", "'ext::sh", "There"]


def test_a_site_that_allows_no_paths_any_more_polls_none(
    source: Source, repository: Repository
) -> None:
    repository.commit("two")
    from_site = source.product
    Configuration.objects.update(allow_local_sources=False)
    assert poll_source(source.pk) == 0
    source.refresh_from_db()
    assert "Allow local sources" in source.error
    assert from_site.events.count() == 0
