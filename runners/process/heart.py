"""The heart of a runner: the one process that speaks to the database for all of it.

It registers the runner, says that it lives, renews the leases of the attempts whose slots give
signs of life (one statement for all), brings back orders, and looks for work that no hint told of.
Slots use the database only for their own attempts.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from uuid import UUID

from django.db import Error

from products.configuration import current
from products.database_trouble import database_sentence
from runners.errors import RunnerNameTakenError
from runners.process import guard
from runners.process.links import Link, LinkClosedError
from runners.process.messages import (
    Beat,
    Draining,
    Gone,
    Held,
    Leases,
    LossesStored,
    Message,
    Orders,
    Refused,
    Registered,
    Retire,
    Room,
    Work,
)
from runners.process.outage import DATABASE_AWAY, Outage
from runners.process.plan import RunnerPlan
from runners.protocol import PROTOCOL
from runners.querysets import claimable_count, unwanted_attempts
from runners.registry import RunnerDescription, beat, register_runner, retire_runner
from runners.site_mark import site_mark
from runs.attempts import renew_leases
from runs.finish import lose_attempt, lose_attempts_of_other_boots

logger = logging.getLogger(__name__)


def run_heart(link: Link, plan: RunnerPlan, registered: Registered | None, draining: bool) -> int:
    """Be the heart until the parent retires it; the exit code of the process.

    ``registered`` is None for the first heart of a start, which registers the runner.
    """
    try:
        if registered is None:
            registered = _register(link, plan)
        if registered is not None:
            Heart(link, plan, registered, draining=draining).run()
    except LinkClosedError:
        return 1
    return 0


def _register(link: Link, plan: RunnerPlan) -> Registered | None:
    """Return the registration, or None when it was refused and the parent knows why."""
    try:
        queues = plan.queues or (current().default_queue,)
        runner_id = _take_name(link, dataclasses.replace(plan, queues=queues))
        lost = lose_attempts_of_other_boots(runner_id, plan.boot_id)
        mark = site_mark()
    except RunnerNameTakenError as error:
        link.send_surely(Refused(str(error)))
        return None
    except Error as error:
        told = database_sentence(error) or f"The database cannot be used: {error}"
        link.send_surely(Refused(told))
        return None
    if lost:
        logger.info("Ended %d attempts of this runner's start before this one as lost.", lost)
    registered = Registered(str(runner_id), list(queues), mark)
    link.send_surely(registered)
    return registered


def _take_name(link: Link, plan: RunnerPlan) -> UUID:
    """Return the runner's id; waits while a former start of that name might still be alive.

    Raises RunnerNameTakenError once the other has given a sign of life while this one waited.
    """
    description = RunnerDescription(
        name=plan.name,
        host=plan.host,
        boot_id=plan.boot_id,
        queues=plan.queues,
        slots=len(plan.slots),
        isolation=plan.isolation.level,
        isolation_report=plan.isolation_report,
    )
    first: RunnerNameTakenError | None = None
    while True:
        try:
            return register_runner(description, dead_boots=plan.dead_boots)
        except RunnerNameTakenError as error:
            if first is not None and error.heard_at != first.heard_at:
                raise
            if first is None:
                logger.info("%s Waiting to see whether it is alive.", error)
            first = error
        link.send(Beat())
        link.wait(plan.times["renew"] / 10)


class Heart:
    """The rounds of a registered runner's heart."""

    def __init__(
        self, link: Link, plan: RunnerPlan, registered: Registered, *, draining: bool
    ) -> None:
        self._link = link
        self._plan = plan
        self._times = plan.times
        self._runner_id = UUID(registered.runner)
        self._queues = registered.queues
        self._draining = draining
        self._held: dict[str, float] = {}
        self._free = 0
        self._lost: dict[str, str] = {}
        self._lack = ""
        self._outage = Outage()
        self._duties: dict[Callable[[], None], tuple[float, float]] = {
            self._renew: (self._times["renew"], guard.now()),
            self._look_for_room: (min(2.0, self._times["renew"] / 5), guard.now()),
            self._poll: (self._times["poll"], guard.now()),
            self._check: (min(1.0, self._times["renew"] / 5), guard.now()),
        }

    def run(self) -> None:
        """Go round until the parent says that all work has ended."""
        while True:
            message = self._link.wait(max(0.0, self._next_due() - guard.now()))
            while message is not None:
                if isinstance(message, Retire):
                    self._try(self._lose)
                    self._try(lambda: retire_runner(self._runner_id, self._plan.boot_id))
                    return
                self._hear(message)
                message = self._link.receive()
            self._link.send(Beat())
            self._do_due()

    def _hear(self, message: Message) -> None:
        match message:
            case Held(attempts=attempts, free=free, lost=lost):
                self._held, self._free = attempts, free
                is_news = bool(lost.keys() - self._lost.keys())
                self._lost = dict(lost)
                if is_news:
                    self._try(self._lose)
            case Draining():
                self._draining = True
                self._do(self._renew)
            case _:
                raise ValueError(f"The heart has no use for {message!r}.")

    # --- Duties -----------------------------------------------------------------------------------
    def _next_due(self) -> float:
        wanted = self._wanted()
        return min(due for duty, (_, due) in self._duties.items() if duty in wanted)

    def _wanted(self) -> list[Callable[[], None]]:
        wanted = [self._look_for_room, self._renew]
        if self._free:
            wanted.append(self._poll)
        if self._held:
            wanted.append(self._check)
        return wanted

    def _do_due(self) -> None:
        for duty in self._wanted():
            if self._duties[duty][1] <= guard.now():
                self._do(duty)

    def _do(self, duty: Callable[[], None]) -> None:
        every, _ = self._duties[duty]
        wait_s = every if self._try(duty) else min(every, self._times["renew"] / 5)
        self._duties[duty] = (every, guard.now() + wait_s)

    def _try(self, duty: Callable[[], None]) -> bool:
        """Do it; return False, and use another connection next time, if the database refuses."""
        try:
            duty()
        except DATABASE_AWAY as error:
            self._outage.met(error)
            return False
        self._outage.over()
        return True

    def _renew(self) -> None:
        sent_at = guard.now()
        answer = beat(
            self._runner_id, self._plan.boot_id, draining=self._draining, trouble=self._lack
        )
        if not answer.ours:
            self._link.send_surely(Refused(_DISPLACED.format(name=self._plan.name)))
            return
        if answer.drain and not self._draining:
            self._link.send_surely(Draining())
        self._lose()
        self._renew_leases(sent_at)

    def _renew_leases(self, sent_at: float) -> None:
        silent_since = sent_at - self._times["alive_limit"]
        lively = {UUID(key) for key, seen_at in self._held.items() if seen_at >= silent_since}
        if not lively:
            return
        renewal = renew_leases(self._runner_id, lively)
        self._link.send_surely(Leases(_texts(renewal.alive | renewal.cancelled), sent_at))
        self._order(dict.fromkeys(lively - renewal.alive - renewal.cancelled, ""), "fenced")
        if renewal.cancelled:
            self._check()

    def _check(self) -> None:
        cancelled, ended = unwanted_attempts([UUID(key) for key in self._held])
        self._order(cancelled, "cancel")
        self._order(dict.fromkeys(ended, ""), "fenced")

    def _order(self, attempts: dict[UUID, str], what: str) -> None:
        if attempts:
            named = {str(attempt_id): by for attempt_id, by in attempts.items()}
            self._link.send_surely(Orders(named, what))

    def _look_for_room(self) -> None:
        try:
            lack = self._plan.lack_of_room()
        except FileNotFoundError:
            self._link.send_surely(Gone(_GONE.format(folder=self._plan.work_dir)))
            return
        if lack and not self._lack:
            logger.warning("%s No job is claimed until there is more room.", lack)
        if bool(lack) != bool(self._lack):
            self._link.send_surely(Room(lack))
            self._lack = lack
            self._renew()

    def _poll(self) -> None:
        found = claimable_count(self._queues, PROTOCOL, limit=self._free)
        if found:
            self._link.send_surely(Work(found))

    def _lose(self) -> None:
        for attempt, text in list(self._lost.items()):
            lose_attempt(UUID(attempt), text)
            del self._lost[attempt]
            self._link.send_surely(LossesStored([attempt]))


_GONE = (
    "The work folder {folder} was removed while the runner worked, so the runner ends. Keep others "
    "from removing it, and start the runner again."
)
_DISPLACED = (
    "Another start of the runner {name} has taken over its name, so this one ends. Give runners "
    "that are to live at the same time different names (--name)."
)


def _texts(ids: frozenset[UUID]) -> list[str]:
    return sorted(str(each) for each in ids)
