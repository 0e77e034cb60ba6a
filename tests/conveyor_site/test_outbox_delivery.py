from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import valkey
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from pytest_django.fixtures import Settings

from conveyor_site.deliver import (
    HANDLED,
    HANDLERS,
    SLOW,
    UnhandledKindError,
    check_kinds,
    deliver,
    deliver_due,
    publish_due_hints,
)
from conveyor_site.duties import do_duty, ensure_duties, lanes
from products.identifiers import uuid7
from products.models import Configuration, Duty, OutboxRow, Product
from products.outbox import Consequence, write_outbox
from runners import hints
from runners.hints import Hint, publish_hints
from runners.settings_block import SYSTEM_QUEUE
from runners.site_mark import site_mark
from tests import builders
from tests.queue_server import QueueServer
from tests.waiting import at_once, until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

Kind = OutboxRow.Kind


@pytest.fixture
def queue(queue_server: QueueServer, settings: Settings) -> Iterator[QueueServer]:
    """A queue that this process publishes to."""
    settings.CONVEYOR_BROKER_URL = queue_server.url
    _publish_anew()
    # The first message takes as long as the first import of what it needs.
    until(lambda: publish_hints([Hint(uuid4(), "warm-up")]), "a message is taken")
    yield queue_server
    _publish_anew()


@pytest.fixture
def no_queue(settings: Settings) -> Iterator[None]:
    """A queue without consumers."""
    settings.CONVEYOR_BROKER_URL = "redis://127.0.0.1:9/0"
    _publish_anew()
    yield
    _publish_anew()


def _publish_anew() -> None:
    """Let the publisher of this process forget its connection and that it failed."""
    hints._publisher.close()
    hints._publisher.__init__()  # type: ignore[misc]  # as in a new process


def waiting(server: QueueServer, queue: str) -> int:
    with valkey.Valkey(port=server.port) as client:
        return int(client.llen(f"conveyor:{site_mark()}:{queue}"))


def hint(state: str = "queued") -> Consequence:
    job_run = builders.a_job_run(state)
    payload = {"job_run": str(job_run.id), "queue": job_run.queue}
    return Consequence(Kind.HINT, f"hint:{job_run.id}:1", payload)


def a_row(kind: str = Kind.RELEASE, payload: dict[str, Any] | None = None) -> OutboxRow:
    given = payload if payload is not None else {"belt_run": str(builders.a_belt_run().id)}
    return OutboxRow.objects.create(kind=kind, key=f"test:{uuid4()}", payload=given)


def seconds_until_due(row: OutboxRow) -> float:
    row.refresh_from_db()
    found = OutboxRow.objects.annotate(now=Now()).get(pk=row.pk)
    return float((found.due_at - found.now).total_seconds())


def make_due(*rows: OutboxRow) -> None:
    OutboxRow.objects.filter(pk__in=[row.pk for row in rows]).update(due_at=Now())


def test_a_commit_publishes_its_hints_and_forgets_them(queue: QueueServer) -> None:
    with transaction.atomic():
        write_outbox([hint(), hint()])
        assert waiting(queue, "default") == 0
    assert waiting(queue, "default") == 2
    assert not OutboxRow.objects.exists()


def test_of_many_hints_no_more_are_published_than_slots_could_hear(queue: QueueServer) -> None:
    builders.a_runner(slots=6)
    builders.a_runner(queues=["other"], slots=50)
    write_outbox([hint() for _ in range(9)])
    assert waiting(queue, "default") == 6
    assert not OutboxRow.objects.exists()


def test_hints_that_a_full_queue_did_not_take_stay(queue: QueueServer) -> None:
    """The queue takes the first of them and has no memory for the others."""
    builders.a_runner(slots=1000)
    with valkey.Valkey(port=queue.port) as client:
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 100_000)
        payloads = [{"job_run": str(uuid4()), "queue": "default"} for _ in range(400)]
        write_outbox(Consequence(Kind.HINT, f"hint:{uuid4()}:1", each) for each in payloads)
        client.config_set("maxmemory", 0)
    taken = waiting(queue, "default")
    assert 0 < taken < 400
    assert OutboxRow.objects.count() == 400 - taken


def test_a_hint_is_left_for_a_while_to_the_process_that_committed_it(no_queue: None) -> None:
    write_outbox([hint()])
    row = OutboxRow.objects.get()
    assert seconds_until_due(row) > 0
    assert publish_due_hints(10) == 0
    row.refresh_from_db()
    assert row.tries == 0


def test_what_is_rolled_back_is_never_published(queue: QueueServer) -> None:
    with transaction.atomic():
        write_outbox([hint()])
        transaction.set_rollback(True)
    assert waiting(queue, "default") == 0


def test_other_rows_are_published_and_stay_until_delivery(
    queue: QueueServer,
) -> None:
    run = builders.a_belt_run()
    write_outbox([Consequence(Kind.RELEASE, "release:1", {"belt_run": str(run.id)})])
    assert waiting(queue, SYSTEM_QUEUE) == 1
    assert OutboxRow.objects.get().kind == Kind.RELEASE


def test_rows_for_later_are_not_published(queue: QueueServer) -> None:
    later = Consequence(Kind.HINT, "hint:later", hint().payload, delay_s=60)
    write_outbox([later])
    assert waiting(queue, "default") == 0
    assert publish_due_hints(10) == 0
    assert OutboxRow.objects.count() == 1


def test_a_dead_queue_fails_no_commit_and_loses_no_hint(
    no_queue: None, queue_server: QueueServer, settings: Settings
) -> None:
    write_outbox([hint(), hint()])
    assert OutboxRow.objects.count() == 2
    make_due(*OutboxRow.objects.all())
    assert publish_due_hints(10) == 0
    row = OutboxRow.objects.first()
    assert row is not None
    assert (row.tries, row.claimed_until) == (1, None)
    assert row.error == "The queue did not accept the message."
    assert 0 < seconds_until_due(row) <= 1

    settings.CONVEYOR_BROKER_URL = queue_server.url
    _publish_anew()
    make_due(*OutboxRow.objects.all())
    assert publish_due_hints(10) == 2
    assert waiting(queue_server, "default") == 2
    assert not OutboxRow.objects.exists()


def test_hints_of_claimed_jobs_are_dropped(queue: QueueServer) -> None:
    OutboxRow.objects.create(kind=Kind.HINT, key="h1", payload=hint("running").payload)
    OutboxRow.objects.create(kind=Kind.HINT, key="h2", payload={"job_run": "no id", "queue": "x"})
    OutboxRow.objects.create(kind=Kind.HINT, key="h3", payload=[])
    OutboxRow.objects.create(kind=Kind.HINT, key="h4", payload=hint("queued").payload)
    assert publish_due_hints(10) == 4
    assert waiting(queue, "default") == 1
    assert not OutboxRow.objects.exists()


def test_a_row_is_delivered_by_one_of_many_that_try() -> None:
    rows = [a_row() for _ in range(4)]
    tries = [lambda row=row: deliver(row.id) for row in rows for _ in range(4)]
    done = at_once(*tries)
    assert sorted(map(str, done)) == ["False"] * 12 + ["True"] * 4
    assert not OutboxRow.objects.exists()


def test_two_reconcilers_share_the_rows() -> None:
    rows = [a_row() for _ in range(20)]
    done = at_once(*[lambda: deliver_due(HANDLERS, 50)] * 2)
    assert sum(each for each in done if isinstance(each, int)) == len(rows)
    assert not OutboxRow.objects.exists()


def test_a_row_that_another_is_at_is_left_to_it_until_its_claim_has_run_out() -> None:
    row = a_row()
    OutboxRow.objects.filter(pk=row.pk).update(claimed_until=Now() + timedelta(seconds=30))
    assert not deliver(row.id)
    OutboxRow.objects.filter(pk=row.pk).update(claimed_until=Now() - timedelta(seconds=1))
    assert deliver(row.id)


def test_what_was_removed_meanwhile_needs_nothing_any_more() -> None:
    rows = [
        a_row(kind, {handler.key: str(uuid7()), "commit": "c0ffee"})
        for kind, handler in HANDLERS.items()
    ]
    assert deliver_due(HANDLERS, 50) == len(rows) == 4
    assert not OutboxRow.objects.exists()


def test_failed_row_waits_longer_and_delays_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad = a_row(payload={"nothing": "of use"})
    good = a_row()
    waits = []
    with caplog.at_level(logging.ERROR):
        for _ in range(4):
            make_due(bad)
            assert not deliver(bad.id)
            waits.append(seconds_until_due(bad))
    assert [round(each) for each in waits] == [1, 2, 4, 8]
    bad.refresh_from_db()
    assert bad.tries == 4
    assert bad.claimed_until is None
    assert bad.error == "KeyError: 'belt_run'"
    assert deliver_due(HANDLERS, 50) == 1
    assert list(OutboxRow.objects.all()) == [bad]
    assert not OutboxRow.objects.filter(pk=good.pk).exists()


def test_no_wait_is_longer_than_five_minutes() -> None:
    bad = a_row(payload={})
    OutboxRow.objects.filter(pk=bad.pk).update(tries=500)
    assert not deliver(bad.id)
    assert 290 < seconds_until_due(bad) <= 300


def test_import_from_an_unreachable_source_is_retried(tmp_path: Path) -> None:
    Configuration.objects.create(allow_local_sources=True)
    product = builders.a_product(managed_by=Product.Manager.FILE)
    builders.a_source(product, url=f"file://{tmp_path}/nowhere.git")
    row = a_row(Kind.IMPORT, {"product": str(product.id), "commit": "c" * 40})
    assert not deliver(row.id)
    row.refresh_from_db()
    assert "nowhere.git" in row.error
    assert row.tries == 1


def test_every_kind_of_row_has_a_handler() -> None:
    assert set(HANDLERS) | {Kind.HINT} == set(Kind.values)
    assert set(HANDLERS) > SLOW


def test_kinds_have_room_for_more() -> None:
    assert OutboxRow._meta.get_field("kind").max_length == 40
    assert [each for each in Kind.values if len(each) > 40] == []


def test_row_of_unknown_kind_waits_and_is_reported() -> None:
    """As a newer version writes it during an upgrade; a handler delivers it whenever it comes."""
    row, known = a_row("commit-status-of-a-newer-version"), a_row()
    assert check_kinds(10) == 0
    OutboxRow.objects.update(due_at=Now() - timedelta(days=1))
    assert not deliver(row.id)
    assert deliver_due(HANDLED, 50) == 1
    assert publish_due_hints(50) == 0
    assert list(OutboxRow.objects.values_list("id", "tries", "error")) == [(row.id, 0, "")]
    with pytest.raises(UnhandledKindError, match=r"commit-status-of-a-newer-version \(1\)"):
        check_kinds(10)
    assert not OutboxRow.objects.filter(id=known.id).exists()


def test_duty_keeps_the_report_of_unknown_kinds() -> None:
    a_row("archive")
    OutboxRow.objects.update(due_at=Now() - timedelta(days=1))
    [duty] = [
        each
        for lane in lanes(settings.CONVEYOR_TIMES).values()
        for each in lane
        if each.name == "outbox-kinds"
    ]
    ensure_duties([duty])
    assert do_duty(duty)
    assert "does not deliver: archive (1)" in Duty.objects.get(name=duty.name).error
