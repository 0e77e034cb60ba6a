"""Renewing a claim in a thread while the claimed work is done."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import Error, connection

logger = logging.getLogger(__name__)


@contextmanager
def renewed(renew: Callable[[], object], every_s: float) -> Iterator[None]:
    """Call ``renew`` every ``every_s`` seconds in a thread while the context is open.

    The thread opens a database connection of its own at the first call. A context that ends before
    that needs none. If the database does not answer, the next call tries again.
    """
    over = threading.Event()
    thread = threading.Thread(
        target=_renew_until, args=[renew, every_s, over], name="claim-renewal", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _renew_until(renew: Callable[[], object], every_s: float, over: threading.Event) -> None:
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
