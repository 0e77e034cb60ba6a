"""The doorbell of a runner: a Celery worker that turns hints into wake-ups of slots.

It runs one hint after the other in its own process. A hint is over once a slot has been woken and
another one is free, so a runner without a free slot takes no hints away from others.
"""

from __future__ import annotations

import logging
import signal
from types import FrameType
from uuid import UUID

from celery.exceptions import WorkerShutdown
from celery.worker import WorkController

from runners import tasks
from runners.broker import is_embedded
from runners.celery_app import app, connect
from runners.errors import NoQueueError
from runners.hints import Hint, publish_hints
from runners.process.bell import Bell, hang
from runners.process.celery_log import quiet_celery
from runners.process.links import Link

logger = logging.getLogger(__name__)

#: An embedded queue may have to be started again, which only a new doorbell does.
_TRIES_OF_EMBEDDED = 2


def run_doorbell(link: Link, queues: tuple[str, ...]) -> int:
    """Turn hints of the queues into wake-ups until told to leave; the process' exit code.

    Waits for a broker that cannot be reached; the parent starts another doorbell when this one
    gives up.
    """
    signal.signal(signal.SIGTERM, _leave)
    quiet_celery(embedded=is_embedded())
    hang(Bell(link, _put_back))
    try:
        connect(queues)
        _know_only_hints()
        if is_embedded():
            app.conf.broker_connection_max_retries = _TRIES_OF_EMBEDDED
        worker = WorkController(
            app=app,
            hostname=f"doorbell-{link.fileno()}",
            queues=list(queues),
            pool_cls="solo",
            concurrency=1,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        logger.debug("Listening for %s on %s.", tasks.wake.name, ", ".join(queues))
        worker.start()
    except NoQueueError as error:
        logger.warning("%s", error)
        return 1
    except WorkerShutdown:
        return 0
    return int(worker.exitcode or 0)


def _know_only_hints() -> None:
    """Forget every task but the hint's: whoever can write to the queue may name any task."""
    app.conf.imports = app.conf.include = ()
    for name in [name for name in app.tasks if name != tasks.wake.name]:
        app.tasks.unregister(name)


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise WorkerShutdown(0)


def _put_back(job_run_id: UUID, queue: str) -> None:
    publish_hints([Hint(job_run_id, queue)])
