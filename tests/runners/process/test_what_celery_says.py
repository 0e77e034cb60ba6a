from __future__ import annotations

import logging
from collections.abc import Iterator
from io import StringIO

import pytest
from kombu.exceptions import OperationalError

from runners.process.celery_log import PlainWords

WORKER = "celery.worker"
CONSUMER = "celery.worker.consumer.consumer"
AWAY = "Error 111 connecting to 127.0.0.1:6379. Connection refused."


class Log:
    """What the handler of a process with a worker writes."""

    def __init__(self, *, embedded: bool) -> None:
        self._text = StringIO()
        self.handler = logging.StreamHandler(self._text)
        self.handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        self.handler.addFilter(PlainWords(embedded=embedded))

    @property
    def lines(self) -> list[str]:
        return self._text.getvalue().splitlines()


@pytest.fixture(params=[True, False], ids=["embedded", "of a server"])
def log(request: pytest.FixtureRequest) -> Iterator[Log]:
    log = Log(embedded=request.param)
    logging.getLogger().addHandler(log.handler)
    yield log
    logging.getLogger().removeHandler(log.handler)


def lose_the_queue() -> None:
    """Say what Celery says from the loss of a broker to the end of the worker."""
    consumer = logging.getLogger(CONSUMER)
    lost = "consumer: Connection to broker lost. Trying to re-establish the connection..."
    consumer.warning("%s (%r)", lost, ConnectionError("gone"))
    consumer.error("consumer: Cannot connect to %s: %s.\n%s\n", "redis://host//", AWAY, "Again...")
    error = OperationalError(AWAY)
    logging.getLogger(WORKER).critical("Unrecoverable error: %r", error, exc_info=error)


def test_a_lost_queue_is_nothing_critical(log: Log, request: pytest.FixtureRequest) -> None:
    lose_the_queue()
    assert "CRITICAL" not in "".join(log.lines)
    if "embedded" in request.node.name:
        [line] = log.lines
        assert line.startswith("INFO The embedded queue has ended with the process that had")
    else:
        lost, refused, left = log.lines
        assert lost.startswith("WARNING consumer: Connection to broker lost.")
        assert refused == f"ERROR consumer: Cannot connect to redis://host//: {AWAY}."
        assert left == f"WARNING The queue cannot be reached ({AWAY[:-1]}); it is tried again."


def test_a_mistake_of_ours_stays_critical(log: Log) -> None:
    error = ZeroDivisionError("a mistake")
    logging.getLogger(WORKER).critical("Unrecoverable error: %r", error, exc_info=error)
    assert log.lines[0] == "CRITICAL Unrecoverable error: ZeroDivisionError('a mistake')"
    assert log.lines[-1] == "ZeroDivisionError: a mistake"


def test_what_others_say_stays_whole(log: Log) -> None:
    error = ZeroDivisionError("a mistake")
    logging.getLogger("celery.app.trace").error("A task failed.", exc_info=error)
    assert log.lines[0] == "ERROR A task failed."
    assert log.lines[-1] == "ZeroDivisionError: a mistake"
