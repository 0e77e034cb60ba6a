from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import valkey
from pytest_django.fixtures import Settings
from pytest_django.plugin import DjangoDbBlocker

from runners.broker import broker_url, use_embedded_queue
from runners.celery_app import app
from runners.errors import NoQueueError
from runners.hints import Hint, Publisher
from runners.settings_block import CELERY_SETTINGS, transport_options
from runners.site_mark import options_of_site, site_mark
from runners.tasks import wake
from tests.own_database import PostgresDatabases, SqliteDatabases, connected_to
from tests.queue_server import QueueServer
from tests.waiting import until

pytestmark = [pytest.mark.processes, pytest.mark.django_db]


@pytest.fixture
def publisher(queue_server: QueueServer, settings: Settings) -> Iterator[Publisher]:
    settings.CONVEYOR_BROKER_URL = queue_server.url
    publisher = Publisher()
    # The first message takes as long as the first import of what it needs.
    until(lambda: publisher.publish([Hint(uuid4(), "warm-up")]), "a message is taken")
    yield publisher
    publisher.close()


def some_hints(count: int) -> list[Hint]:
    return [Hint(uuid4(), "default") for _ in range(count)]


def waiting(server: QueueServer) -> int:
    with valkey.Valkey(port=server.port) as client:
        return int(client.llen(f"conveyor:{site_mark()}:default"))


def test_hints_go_to_the_queue_that_they_name(
    publisher: Publisher, queue_server: QueueServer
) -> None:
    assert publisher.publish(some_hints(3)) == 3
    assert waiting(queue_server) == 3


def test_two_sites_on_one_queue_server_do_not_meet(
    publisher: Publisher,
    queue_server: QueueServer,
    fresh_databases: SqliteDatabases | PostgresDatabases,
    folder: Path,
    django_db_blocker: DjangoDbBlocker,
) -> None:
    assert publisher.publish(some_hints(3)) == 3
    own = site_mark()
    with fresh_databases.make(folder) as other, connected_to(other), django_db_blocker.unblock():
        assert len(site_mark()) == len(own) == 12
        assert site_mark() != own
        of_another_site = Publisher()
        assert of_another_site.publish(some_hints(2)) == 2
        of_another_site.close()
        assert waiting(queue_server) == 2
    assert waiting(queue_server) == 3


def test_the_mark_is_that_of_the_database_and_the_embedded_queue_has_none(
    settings: Settings,
) -> None:
    settings.CONVEYOR_BROKER_URL = "amqp://host//"
    assert "global_keyprefix" not in options_of_site("amqp://host//")
    settings.CONVEYOR_BROKER_URL = ""
    assert options_of_site("redis+socket:///run/queue.sock")["global_keyprefix"] == "conveyor:"


def test_a_dead_queue_is_tried_once_and_then_left_alone(
    publisher: Publisher, queue_server: QueueServer, caplog: pytest.LogCaptureFixture
) -> None:
    assert publisher.publish(some_hints(1)) == 1
    queue_server.kill()
    assert [publisher.publish(some_hints(2)) for _ in range(100)] == [0] * 100
    assert len(caplog.records) == 1


@pytest.mark.parametrize("connected", [True, False])
def test_a_frozen_queue_is_waited_for_once_and_then_left_alone(
    publisher: Publisher,
    queue_server: QueueServer,
    caplog: pytest.LogCaptureFixture,
    connected: bool,
) -> None:
    if not connected:
        publisher.close()
    os.kill(queue_server.process.pid, signal.SIGSTOP)
    try:
        assert [publisher.publish(some_hints(2)) for _ in range(100)] == [0] * 100
        assert len(caplog.records) == 1
    finally:
        os.kill(queue_server.process.pid, signal.SIGCONT)


def test_no_hints_need_no_queue() -> None:
    assert Publisher().publish([]) == 0


def test_without_a_queue_nothing_is_published(settings: Settings) -> None:
    settings.CONVEYOR_BROKER_URL = ""
    started: list[str] = []

    def start() -> str:
        started.append("once")
        raise NoQueueError

    use_embedded_queue(start)
    publisher = Publisher()
    assert publisher.publish(some_hints(1)) == 0
    assert publisher.publish(some_hints(1)) == 0
    assert started == ["once"]


def test_the_embedded_queue_is_used_when_no_broker_is_configured(settings: Settings) -> None:
    settings.CONVEYOR_BROKER_URL = ""
    use_embedded_queue(lambda: "redis+socket:///somewhere")
    assert broker_url() == "redis+socket:///somewhere"
    settings.CONVEYOR_BROKER_URL = "sqs://"
    assert broker_url() == "sqs://"


@pytest.mark.parametrize("argument", ["", "x", "../../etc", "1; drop table", "a" * 5000])
def test_a_hint_that_is_no_uuid_is_refused(argument: str) -> None:
    with pytest.raises(ValueError, match="badly formed"):
        wake(argument)


def test_every_setting_is_one_that_celery_knows() -> None:
    unknown = [name for name in CELERY_SETTINGS if name not in app.conf.table()]
    assert unknown == []
    for name, value in CELERY_SETTINGS.items():
        assert app.conf[name] == value


@pytest.mark.parametrize(
    ("url", "has_timeouts"),
    [
        ("redis://host/0", True),
        ("rediss://:secret@host:6380/1", True),
        ("redis+socket:///run/queue.sock", True),
        ("amqp://host//", False),
        ("sqs://", False),
    ],
)
def test_only_redis_is_given_the_options_of_redis(url: str, has_timeouts: bool) -> None:
    assert ("socket_timeout" in transport_options(url)) is has_timeouts
