"""What a repository that is slow, or cannot be read, does to the deliveries of all products."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Thread
from uuid import uuid4

import pytest
from django.conf import settings as site_settings
from django.db import connections
from django.db.models.functions import Now
from pytest_django import Settings

from conveyor_site import deliver as delivering
from conveyor_site.deliver import SLOW, deliver, deliver_due
from conveyor_site.reconciler import Reconciler
from products.models import Configuration, Event, OutboxRow, Product
from products.polling import poll_source
from tests import builders
from tests.conveyor_site.conftest import Start
from tests.products.repositories import GitServer, Repository, a_git_server
from tests.waiting import PATIENCE_S, at_once, until

Kind = OutboxRow.Kind
BROKER_AWAY = "redis://127.0.0.1:9/0"


@pytest.fixture
def site(db: None, settings: Settings, tmp_path: Path) -> None:
    """A site of this machine's own repositories, whose queue has no consumer."""
    settings.CONVEYOR_DATA_DIR = tmp_path / "data"
    settings.CONVEYOR_BROKER_URL = BROKER_AWAY
    allow_own_repositories()


def allow_own_repositories() -> None:
    allowed = {"allow_local_sources": True, "allow_http_sources": True}
    Configuration.objects.update_or_create(id=1, defaults=allowed)


class Pushed:
    """A product with a repository of its own, to which something is pushed again and again."""

    def __init__(self, folder: Path, server: GitServer, name: str) -> None:
        self.repository = Repository(folder / name)
        self.repository.commit(f"product: {name}\nbelts:\n", path=".conveyor.yml")
        self.product = builders.a_product(name, managed_by=Product.Manager.FILE)
        url = server.url(f"{name}/.git")
        self.source = builders.a_source(self.product, url=url, default_branch="")
        assert poll_source(self.source.pk) == 0

    def push(self, branches: int) -> None:
        """Push that number of branches, and poll."""
        for _ in range(branches):
            self.repository.branch(f"branch-{uuid4()}")
        assert poll_source(self.source.pk) == branches

    def rows(self) -> list[OutboxRow]:
        """Return the rows that wait for its repository, in their order."""
        found = OutboxRow.objects.filter(product_name=self.product.name)
        return list(found.order_by("due_at", "id"))

    def is_handled(self) -> bool:
        """Return whether everything that was pushed is dealt with."""
        waiting = Event.objects.filter(product=self.product, handled_at=None)
        return not (waiting.exists() or self.rows())


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[GitServer, GitServer]]:
    """One that can be made to trickle, and another."""
    (tmp_path / "git").mkdir()
    with a_git_server(tmp_path / "git") as first, a_git_server(tmp_path / "git") as second:
        yield first, second


@pytest.fixture
def pushed(tmp_path: Path, site: None, servers: tuple[GitServer, GitServer]) -> tuple[Pushed, ...]:
    """A product whose server is the first, and one whose server is the second."""
    return tuple(
        Pushed(tmp_path / "git", server, name)
        for server, name in zip(servers, ("slow", "quick"), strict=True)
    )


@contextmanager
def beside(work: Callable[[], object]) -> Iterator[None]:
    """Do the work in a thread, beside what is done in the context, and wait for its end."""

    def do() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = Thread(target=do)
    thread.start()
    try:
        yield
    finally:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def seconds_until_due(row: OutboxRow) -> float:
    found = OutboxRow.objects.annotate(now=Now()).get(pk=row.pk)
    return float((found.due_at - found.now).total_seconds())


def at_work() -> list[str]:
    """Return the products that something is being delivered for."""
    claimed = OutboxRow.objects.filter(claimed_until__gte=Now())
    return list(claimed.values_list("product_name", flat=True))


@pytest.mark.django_db(transaction=True)
@pytest.mark.database
def test_a_repository_that_trickles_keeps_one_lane_and_no_other_product_waiting(
    pushed: tuple[Pushed, Pushed], servers: tuple[GitServer, GitServer]
) -> None:
    (slow, quick), (server, _) = pushed, servers
    slow.push(6)
    server.trickle()
    times = {name: value / 20 for name, value in site_settings.CONVEYOR_TIMES.items()}
    reconciler = Reconciler(times)
    with beside(reconciler.run):
        try:
            until(server.state.waits.is_set, "a delivery waits for the slow server")
            for _ in range(2):
                quick.push(3)
                until(quick.is_handled, "what was pushed to the other product is handled")
                assert at_work() == ["slow"]
            assert len(slow.rows()) == 6
            server.be_honest()
            until(slow.is_handled, "what was pushed to the slow product is handled, too")
        finally:
            server.be_honest()
            reconciler.stop()
    assert slow.rows() == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.database
def test_rows_of_one_product_are_delivered_one_after_the_other(
    pushed: tuple[Pushed, Pushed], servers: tuple[GitServer, GitServer]
) -> None:
    (slow, quick), (server, _) = pushed, servers
    slow.push(3)
    quick.push(1)
    server.trickle()
    first, *others = slow.rows()
    with beside(lambda: deliver(first.id)):
        until(server.state.waits.is_set, "the delivery waits for the slow server")
        assert [deliver(row.id) for row in others] == [False, False]
        assert deliver_due(SLOW, 50) == 1
        assert quick.is_handled()
        server.be_honest()
    assert [row.id for row in slow.rows()] == [row.id for row in others]
    assert deliver_due(SLOW, 50) == 1
    assert deliver_due(SLOW, 50) == 1
    assert slow.is_handled()


@pytest.mark.django_db(transaction=True)
@pytest.mark.database
def test_of_many_that_try_at_once_one_gets_a_product(pushed: tuple[Pushed, Pushed]) -> None:
    slow, _ = pushed
    slow.push(4)
    rows = slow.rows()
    done = at_once(*[lambda row=row: delivering._claimed(row.id) for row in rows * 2])
    assert sum(isinstance(each, OutboxRow) for each in done) == 1
    assert sum(each is None for each in done) == 7


@pytest.mark.django_db(transaction=True)
@pytest.mark.database
def test_a_claim_lasts_as_long_as_the_delivery_is_at_work(
    pushed: tuple[Pushed, Pushed], servers: tuple[GitServer, GitServer], settings: Settings
) -> None:
    (slow, _), (server, _) = pushed, servers
    slow.push(1)
    server.trickle()
    settings.CONVEYOR_TIMES = {**settings.CONVEYOR_TIMES, "claim_row": 2.0}
    [row] = slow.rows()
    with beside(lambda: deliver(row.id)):
        until(server.state.waits.is_set, "the delivery waits for the slow server")
        row.refresh_from_db()
        first = row.claimed_until
        assert first is not None
        after = OutboxRow.objects.filter(pk=row.pk, claimed_until__gt=first + timedelta(seconds=2))
        until(after.exists, "the claim lasts longer than it did when it was made")
        assert not deliver(row.id)
        assert at_work() == ["slow"]
        server.be_honest()
    assert slow.is_handled()


@pytest.mark.django_db(transaction=True)
@pytest.mark.database
def test_what_a_worker_left_that_died_is_taken_over(pushed: tuple[Pushed, Pushed]) -> None:
    slow, _ = pushed
    slow.push(2)
    left, other = slow.rows()
    OutboxRow.objects.filter(pk=left.pk).update(
        claimed_until=Now() + timedelta(seconds=60), active_key=left.product_name
    )
    assert deliver_due(SLOW, 50) == 0
    OutboxRow.objects.filter(pk=left.pk).update(claimed_until=Now() - timedelta(seconds=1))
    until(lambda: deliver(other.id), "the key of the dead is taken from it")
    assert deliver(left.id)
    assert slow.is_handled()


@pytest.mark.django_db(transaction=True)
@pytest.mark.database
def test_a_repository_that_cannot_be_read_puts_off_all_that_waits_for_it(
    pushed: tuple[Pushed, Pushed],
) -> None:
    slow, quick = pushed
    slow.push(3)
    quick.push(1)
    slow.repository.folder.rename(slow.repository.folder.with_name("moved"))
    waits: list[list[float]] = []
    for _ in range(4):
        row = slow.rows()[0]
        OutboxRow.objects.filter(product_name="slow").update(due_at=Now())
        assert not deliver(row.id)
        assert sum(each.tries for each in slow.rows()) == len(waits) + 1
        waits.append([seconds_until_due(each) for each in slow.rows()])
        assert deliver_due(SLOW, 50) == (1 if len(waits) == 1 else 0)
    assert quick.is_handled()
    for number, found in enumerate(waits):
        assert all(2**number - 1 < each <= 2**number for each in found)
    assert "there is no repository at this address" in slow.rows()[0].error


@pytest.mark.django_db(transaction=True)
@pytest.mark.database
def test_what_took_long_lets_others_go_first(
    pushed: tuple[Pushed, Pushed], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, _ = pushed
    slow.push(3)
    monkeypatch.setattr("conveyor_site.deliver.SLOW_S", 0.0)
    before = slow.rows()[-1].due_at
    assert deliver_due(SLOW, 50) == 1
    assert all(row.due_at > before for row in slow.rows())
    until(lambda: deliver_due(SLOW, 50), "it is the next one's turn after a moment")


# --- Real orchestrators ---------------------------------------------------------------------------
@pytest.mark.processes
@pytest.mark.database
def test_an_orchestrator_without_a_queue_delivers_beside_a_slow_repository_and_another_takes_over(
    start: Start, environment: dict[str, str], folder: Path, settings: Settings
) -> None:
    settings.CONVEYOR_DATA_DIR = folder / "own"
    settings.CONVEYOR_BROKER_URL = BROKER_AWAY
    allow_own_repositories()
    git = folder / "git"
    git.mkdir()
    with a_git_server(git) as server, a_git_server(git) as other:
        slow, quick = Pushed(git, server, "slow"), Pushed(git, other, "quick")
        slow.push(3)
        server.trickle()
        first = start(CONVEYOR_BROKER_URL=BROKER_AWAY)
        until(server.state.waits.is_set, "the orchestrator waits for the slow server")
        quick.push(2)
        until(quick.is_handled, "what was pushed to the other product is handled")
        assert at_work() == ["slow"]
        first.close()
        server.be_honest()
        start(CONVEYOR_BROKER_URL=BROKER_AWAY)
        until(slow.is_handled, "another orchestrator does what the first one left", patience_s=60)
    assert slow.rows() == []
