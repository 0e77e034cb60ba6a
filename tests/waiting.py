"""Waiting for something that has a name, with a deadline; and doing several things at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

from django.db import connections

PATIENCE_S = 30.0

Result = TypeVar("Result")


def until(
    done: Callable[[], object], what: str, *, patience_s: float = PATIENCE_S, every_s: float = 0.01
) -> None:
    """Wait until ``done`` returns something true; fail with ``what`` when it does not come."""
    deadline = time.monotonic() + patience_s
    while not done():
        if time.monotonic() > deadline:
            raise AssertionError(f"It did not come to pass in {patience_s:g} s: {what}.")
        time.sleep(every_s)


def at_once(*calls: Callable[[], Result]) -> list[Result | Exception]:
    """Run each call in a thread of its own, all from one instant on.

    Returns what each returned or raised, in the order of the calls. The threads close their
    database connections, else the test database could not be dropped.
    """
    start = Barrier(len(calls))

    def one(call: Callable[[], Result]) -> Result | Exception:
        try:
            start.wait(PATIENCE_S)
            return call()
        except Exception as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))
