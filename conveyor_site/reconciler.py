"""The reconciler performs due duties in lanes, and delivers outbox rows, until it is stopped.

A lane is a thread with a database connection of its own. Several lanes deliver the rows that may
wait for a repository, so that a slow repository does not delay the others. Any number of
reconcilers can run side by side.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import TypeVar

from django.conf import settings
from django.db import connection

from conveyor_site.deliver import SLOW, deliver, deliverable
from conveyor_site.duties import (
    LEASES,
    PeriodicDuty,
    do_due_duties,
    ensure_duties,
    lanes,
    postpone,
)
from runners.process import guard
from runners.process.outage import DATABASE_AWAY, Outage

logger = logging.getLogger(__name__)

#: The lane with the duty of leases, which it delays after an outage.
_LANE_OF_LEASES = "engine"
#: Number of lanes that deliver, each a row of another product.
DELIVERIES = 4
_ROWS = 50

Result = TypeVar("Result")


class Absence:
    """Whether the database was unreachable for so long that every lease may have expired.

    Runners could not renew their leases. So no runner is declared lost for the time of one lease.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._answered_at = guard.now()
        self._is_away = False

    def failed(self) -> None:
        """Note that the database did not answer."""
        self._is_away = True

    def answered(self) -> None:
        """Note that it did."""
        self._answered_at = guard.now()
        self._is_away = False

    @property
    def was_long(self) -> bool:
        """Return whether it was unreachable for longer than the limit; False once it answered."""
        return self._is_away and guard.now() - self._answered_at > self._limit_s


class Lane:
    """Duties that are performed one after the other."""

    def __init__(self, name: str, duties: Sequence[PeriodicDuty], times: Mapping[str, float]):
        self.name = name
        self._duties = list(duties)
        self._lease_s = times["lease"]
        self._outage = Outage()
        self._absence = Absence(self._lease_s / 2)

    def turn(self, pause: Callable[[], object]) -> None:
        """Perform due duties, and pause; the next turn tries again after an outage."""
        try:
            if self.name == _LANE_OF_LEASES and self._absence.was_long:
                logger.warning(
                    "The database did not answer for a long time. No runner is declared lost for "
                    "the next %g s.",
                    self._lease_s,
                )
                postpone(LEASES, self._lease_s)
            do_due_duties(self._duties)
        except DATABASE_AWAY as error:
            self._absence.failed()
            self._outage.met(error)
        else:
            self._absence.answered()
            self._outage.over()
        pause()


class DeliveryLane:
    """A thread that delivers outbox rows, one after the other.

    Among the lanes without work only the lane that holds the lock ``looking`` searches for rows. It
    releases the lock when it has found some, and another lane searches.
    """

    def __init__(self, name: str, looking: threading.Lock) -> None:
        self.name = name
        self._looking = looking
        self._outage = Outage()

    def turn(self, pause: Callable[[], object]) -> None:
        """Deliver due rows; pause if there are none or the database is unreachable."""
        with self._looking:
            found = self._try(lambda: deliverable(SLOW, _ROWS))
            if not found:
                pause()
                return
        if not self._try(lambda: sum(map(deliver, found))):
            pause()

    def _try(self, step: Callable[[], Result]) -> Result | None:
        """Return the result of the step, None if the database is unreachable."""
        try:
            result = step()
        except DATABASE_AWAY as error:
            self._outage.met(error)
            return None
        self._outage.over()
        return result


class Reconciler:
    """All lanes of one process."""

    def __init__(self, times: Mapping[str, float] | None = None) -> None:
        times = times or settings.CONVEYOR_TIMES
        self._every_s = times["sweep"] / 5
        self._duties = lanes(times)
        looking = threading.Lock()
        self._lanes: list[Lane | DeliveryLane] = [
            *(Lane(name, duties, times) for name, duties in self._duties.items()),
            *(DeliveryLane(f"deliveries-{n}", looking) for n in range(1, DELIVERIES + 1)),
        ]
        self._stop = threading.Event()
        self._failed = False

    def run(self) -> int:
        """Run all lanes until ``stop`` is called; return the exit code of the process."""
        threads = [
            threading.Thread(target=self._follow, args=[lane], name=lane.name, daemon=True)
            for lane in self._lanes
        ]
        self._ensure_rows()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return 1 if self._failed else 0

    def stop(self) -> None:
        """End every lane after its current duty; safe in a signal handler."""
        self._stop.set()

    def _pause(self) -> None:
        self._stop.wait(self._every_s)

    def _ensure_rows(self) -> None:
        outage = Outage()
        while not self._stop.is_set():
            try:
                ensure_duties(chain.from_iterable(self._duties.values()))
            except DATABASE_AWAY as error:
                outage.met(error)
                self._stop.wait(self._every_s)
            else:
                break
        connection.close()

    def _follow(self, lane: Lane | DeliveryLane) -> None:
        try:
            while not self._stop.is_set():
                lane.turn(self._pause)
        except Exception:
            # The process ends, and its parent starts another one.
            logger.exception("The lane %s failed; the reconciler starts again.", lane.name)
            self._failed = True
            self._stop.set()
        finally:
            connection.close()
