"""The Celery worker of an orchestrator, which delivers outbox rows."""

from __future__ import annotations

import logging
import signal
from types import FrameType
from typing import Any

from celery.worker import WorkController, state
from celery.worker.consumer import Consumer
from django.db import Error

from conveyor_site.celery import app
from conveyor_site.tasks import deliver
from products.errors import ConveyorError
from runners.broker import is_embedded
from runners.celery_app import connect
from runners.process.celery_log import quiet_celery
from runners.process.links import Link
from runners.settings_block import SYSTEM_QUEUE

logger = logging.getLogger(__name__)

#: An embedded queue may have to be started again, which only a new worker does.
_TRIES_OF_EMBEDDED = 2


class _Consumer(Consumer):
    def on_unknown_task(self, body: Any, message: Any, exc: Any) -> None:
        """Drop the message; Celery would store a failure for each, also for forged messages."""
        message.reject_log_error(logger, self.connection_errors)  # type: ignore[attr-defined]  # not in the stubs
        logger.warning("A message for an unknown task was dropped from queue %s.", SYSTEM_QUEUE)


def run_worker(link: Link) -> int:
    """Deliver the outbox rows named by messages until SIGTERM; return the exit code.

    Waits while the queue cannot be reached. The reconciler does the same work meanwhile.
    """
    quiet_celery(embedded=is_embedded())
    signal.signal(signal.SIGTERM, _end_after_this)
    try:
        connect()
    except (ConveyorError, Error) as error:
        logger.warning("%s", error)
        return 1
    if is_embedded():
        app.conf.broker_connection_max_retries = _TRIES_OF_EMBEDDED
    _register_only_delivery()
    worker = WorkController(
        app=app,
        hostname=f"orchestrator-{link.fileno()}",
        queues=[SYSTEM_QUEUE],
        pool_cls="solo",
        consumer_cls=_Consumer,
        concurrency=1,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


def _register_only_delivery() -> None:
    """Remove all other tasks, because a forged message could name any of them."""
    app.conf.imports = app.conf.include = ()
    for name in [name for name in app.tasks if name != deliver.name]:
        app.tasks.unregister(name)


def _end_after_this(_number: int, _frame: FrameType | None) -> None:
    """End the worker after its current task."""
    state.should_stop = 0  # type: ignore[assignment]  # Celery's own handlers do so, too
