"""Keeping a claim alive while what it was made for goes on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import Error, connection

logger = logging.getLogger(__name__)


@contextmanager
def kept_up(renew: Callable[[], object], every_s: float) -> Iterator[None]:
    """Call ``renew`` every so many seconds, beside what is done in the context.

    It is called in a thread, which has a database connection of its own from its first call on;
    what is over before costs none. A database that does not answer is asked again the next time.
    """
    over = threading.Event()
    thread = threading.Thread(
        target=_keep_up, args=[renew, every_s, over], name="keeping", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _keep_up(renew: Callable[[], object], every_s: float, over: threading.Event) -> None:
    try:
        while not over.wait(every_s):
            try:
                renew()
            except Error as error:
                logger.warning(
                    "A claim was not renewed; the next try is in %g s: %s", every_s, error
                )
                connection.close()
    finally:
        connection.close()
