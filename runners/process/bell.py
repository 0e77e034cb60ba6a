"""The bell that the hint's task rings, in the doorbell's process."""

from __future__ import annotations

import logging
from collections.abc import Callable
from uuid import UUID

from runners.process.links import Link
from runners.process.messages import Busy, Go, Hint

logger = logging.getLogger(__name__)


class Bell:
    """Rings at the parent of a runner; ``put_back`` gives a hint to other runners."""

    def __init__(self, link: Link, put_back: Callable[[UUID, str], None]) -> None:
        self._link = link
        self._put_back = put_back

    def ring(self, job_run_id: UUID, queue: str) -> None:
        """Have a slot look for that job run; return when another slot is free.

        Raises LinkClosedError when the parent is gone.
        """
        self._link.send_surely(Hint(str(job_run_id)))
        while True:
            match self._link.wait(None):
                case Go():
                    return
                case Busy():
                    self._put_back(job_run_id, queue)


_hung: list[Bell] = []


def hang(bell: Bell) -> None:
    """Make this the bell of this process."""
    _hung[:] = [bell]


def ring(job_run_id: UUID, queue: str) -> None:
    """Ring this process' bell. A worker that is no doorbell has none and drops the hint."""
    if not _hung:
        logger.error("A hint came to a worker that is no runner's; start manage.py runner instead.")
        return
    _hung[0].ring(job_run_id, queue)
