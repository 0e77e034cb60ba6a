"""Publishing hints: telling runners that a job run can be claimed, and orchestrators of work.

A hint makes haste and decides nothing: what is not published here is published by the reconciler
or found by the runners' polling. So a broker that is dead or frozen may cost a caller a moment,
once in a while, and nothing more.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from kombu import Connection, Producer

from runners.broker import broker_url
from runners.celery_app import app
from runners.settings_block import queue_of
from runners.site_mark import options_of_site

logger = logging.getLogger(__name__)

#: The name of the task that is a hint; see ``runners.tasks``.
WAKE = "conveyor.wake"

#: A publisher waits no longer than this for the broker, and takes no longer for one call.
PATIENCE_S = 1.0
#: After a failure the broker is left alone for so long, then twice as long, up to the second.
REST_S = (2.0, 60.0)

_TIMEOUTS = ("socket_timeout", "socket_connect_timeout")


class Message(Protocol):
    """What can be published: a task with its one argument, and the queue that it goes to."""

    @property
    def task(self) -> str:
        """The name of the task."""

    @property
    def argument(self) -> str:
        """What the task is called with."""

    @property
    def queue(self) -> str:
        """The queue."""

    @property
    def keeps_result(self) -> bool:
        """Whether operators see what came of it."""


@dataclass(frozen=True, slots=True)
class Hint:
    """A job run that can be claimed by the runners of a queue."""

    job_run_id: UUID
    queue: str

    @property
    def task(self) -> str:
        """Return the name of the task."""
        return WAKE

    @property
    def argument(self) -> str:
        """Return the id of the job run."""
        return str(self.job_run_id)

    @property
    def keeps_result(self) -> bool:
        """Return False: a hint has no result."""
        return False


class Publisher:
    """One process' way to the queue, with a breaker that opens when the broker fails."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._connection: Connection | None = None
        self._producer: Producer | None = None
        self._failures = 0
        self._closed_until = 0.0

    def publish(self, messages: Sequence[Message]) -> int:
        """Return how many of the messages, from the first on, the broker took."""
        if not self._lock.acquire(timeout=PATIENCE_S):
            return 0
        try:
            return self._publish_all(messages)
        finally:
            self._lock.release()

    def close(self) -> None:
        """Let go of the connection; publishing again makes another."""
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            _close(connection)

    def _publish_all(self, messages: Sequence[Message]) -> int:
        done = 0
        began = time.monotonic()
        if began < self._closed_until:
            return 0
        try:
            for message in messages:
                self._publish_one(message)
                done += 1
                if time.monotonic() - began > PATIENCE_S:
                    break
        except Exception as error:
            # Each transport has errors of its own, without a base in common.
            self._fail(error)
        else:
            self._failures = 0
        return done

    def _publish_one(self, message: Message) -> None:
        options: dict[str, Any] = {"queue": queue_of(message.queue), "producer": self._ready()}
        options["ignore_result"] = not message.keeps_result
        app.send_task(message.task, args=[message.argument], retry=False, **options)

    def _ready(self) -> Producer:
        if self._producer is None or self._pid != os.getpid():
            self._pid = os.getpid()
            url = broker_url()
            options = options_of_site(url)
            options |= {name: PATIENCE_S for name in _TIMEOUTS if name in options}
            self._connection = Connection(
                url, connect_timeout=PATIENCE_S, transport_options=options
            )
            # Without this, making the channel connects with another try two seconds later.
            self._connection.ensure_connection(max_retries=0)
            self._producer = Producer(self._connection.channel(), auto_declare=False)
        return self._producer

    def _fail(self, error: Exception) -> None:
        rest_s = min(REST_S[1], REST_S[0] * 2.0**self._failures)
        self._failures += 1
        self._closed_until = time.monotonic() + rest_s
        logger.warning(
            "The queue took no hint (%s); runners poll, and it is tried again in %.0f s.",
            error,
            rest_s,
        )
        self.close()


def _close(connection: Connection) -> None:
    try:
        connection.close()
    except Exception as error:
        logger.debug("Closing the connection to the queue failed as well: %s", error)


_publisher = Publisher()


def publish_hints(hints: Sequence[Message]) -> int:
    """Hand hints to their queues; return how many of them, from the first on, were taken.

    Never raises for the broker's sake, waits for it about ``PATIENCE_S`` seconds at most, and
    returns 0 at once while the broker rests after a failure. Safe in threads.
    """
    return _publisher.publish(hints) if hints else 0
