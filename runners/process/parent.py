"""The parent of a runner: it starts the others, carries what they say, and ends them.

It opens no database connection and starts no thread, so forking it is safe at any time; it never
waits for one child alone. See docs/decisions/0002-runner-processes.md.
"""

from __future__ import annotations

import enum
import gc
import logging
import selectors
import signal
import sys
from collections.abc import Callable, Mapping

from runners.process import guard
from runners.process.children import Child, fork_child
from runners.process.crew import Crew
from runners.process.doorbell import run_doorbell
from runners.process.heart import run_heart
from runners.process.links import Link
from runners.process.messages import (
    Beat,
    Draining,
    Message,
    NewZygote,
    Refused,
    Registered,
    Retire,
)
from runners.process.nursery import Nursery
from runners.process.plan import RunnerPlan
from runners.process.signals import Signals
from runners.process.slot import SlotFacts, run_slot
from runners.process.switchboard import (
    DEAF_AFTER,
    DOORBELL,
    HEART,
    Switchboard,
    slot_number,
    slot_role,
)

logger = logging.getLogger(__name__)

#: Exit codes of ``manage.py runner``; documented in docs/running-it.md.
DRAINED = 0
REFUSED = 1
KILLED_JOBS = 3

_LEAVE_S = 5.0


class Phase(enum.Enum):
    """Where in its life a runner is."""

    REGISTERING = "registering"
    ONLINE = "online"
    DRAINING = "draining"  # nothing is claimed any more, jobs go on
    ENDING = "ending"  # jobs were ordered to end
    LEAVING = "leaving"  # all work is over, children take their leave


class Parent:
    """One runner, from its registration to its end."""

    def __init__(self, plan: RunnerPlan) -> None:
        self._plan = plan
        self._phase = Phase.REGISTERING
        self._code = DRAINED
        self._deadline: float | None = None
        self._registered: Registered | None = None
        self._beat_at = guard.now()
        self._told_held_at = 0.0
        self._leftovers: dict[int, str] = {}
        self._nursery = Nursery()
        self._signals = Signals()
        self._crew = Crew(self._start, self._hear, self._gone)
        self._board = Switchboard(len(plan.slots), self._crew.tell, guard.now)

    def run(self) -> int:
        """Live until drained or refused; return the exit code of the command."""
        gc.collect()
        gc.freeze()
        with self._signals:
            self._crew.selector.register(self._signals, selectors.EVENT_READ, self._signalled)
            self._crew.employ([HEART])
            while self._phase is not Phase.LEAVING or len(self._crew):
                self._turn()
        self._nursery.close()
        return self._code

    def _turn(self) -> None:
        for key, _ in self._crew.selector.select(self._timeout()):
            act: Callable[[], None] = key.data
            act()
        now = guard.now()
        self._crew.start_due()
        self._look_after(now)
        if self._deadline is not None and now >= self._deadline:
            self._too_late()
        if self._phase in (Phase.DRAINING, Phase.ENDING) and self._board.board.at_rest:
            self._leave()
        self._tell_held(now)

    def _timeout(self) -> float:
        dues = [self._deadline, self._crew.next_due]
        if self._board.changed:
            dues.append(self._told_held_at + self._tell_every)
        longest = self._plan.times["alive"]
        return max(0.0, min((due - guard.now() for due in dues if due is not None), default=longest))

    @property
    def _tell_every(self) -> float:
        return min(0.5, self._plan.times["renew"] / 20)

    def _tell_held(self, now: float) -> None:
        if now - self._told_held_at >= self._tell_every:
            self._told_held_at = now
            self._board.tell_held()

    # --- Children ---------------------------------------------------------------------------------
    def _start(self, role: str) -> Child:
        if role == HEART:
            self._beat_at = guard.now()
            registered, draining = self._registered, self._phase is not Phase.REGISTERING
            draining = draining and self._phase is not Phase.ONLINE
            return self._fork(role, lambda link: run_heart(link, self._plan, registered, draining))
        if role == DOORBELL:
            return self._fork(role, lambda link: run_doorbell(link, self._plan.queues))
        return self._start_slot(role)

    def _start_slot(self, role: str) -> Child:
        number = slot_number(role)
        registered = self._registered
        if registered is None:
            raise RuntimeError("A slot needs a registered runner.")
        zygote = self._nursery.door()
        facts = SlotFacts(
            plan=self._plan,
            place=self._plan.slots[number],
            runner_id=registered.runner,
            leftover=self._board.board[number].attempt,
            draining=self._board.draining,
        )
        child = self._fork(role, lambda link: run_slot(link, facts, zygote))
        zygote.close()
        return child

    def _fork(self, role: str, run: Callable[[Link], int | None]) -> Child:
        return fork_child(role, run, close=self._close_in_child)

    def _close_in_child(self) -> None:
        self._signals.close()
        self._crew.close_links()
        self._nursery.close_in_child()

    def _gone(self, role: str) -> None:
        if role == DOORBELL:
            self._board.doorbell_gone()
        elif role != HEART:
            self._board.slot_gone(slot_number(role))
