"""The parent of a runner: it starts the others, carries what they say, and ends them.

It opens no database connection and starts no thread, so forking it is safe at any time; it never
waits for one child alone. See docs/decisions/0002-runner-processes.md.
"""

from __future__ import annotations

import dataclasses
import enum
import logging
import selectors
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

from runners.executor.zygote import ZygoteClient, ZygoteProcess
from runners.process import guard
from runners.process.children import Child, fork_child
from runners.process.crew import Crew
from runners.process.doorbell import run_doorbell
from runners.process.heart import run_heart
from runners.process.links import Link
from runners.process.messages import (
    Beat,
    Draining,
    Gone,
    Message,
    Refused,
    Registered,
    Retire,
)
from runners.process.places import name_registered
from runners.process.plan import ZYGOTE_FOLDER, RunnerPlan
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
from runners.site_mark import know_site_mark

logger = logging.getLogger(__name__)

#: Exit codes of ``manage.py runner``; documented in docs/running-it.md.
DRAINED = 0
REFUSED = 1
KILLED_JOBS = 3

ZYGOTE = "zygote"

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
        self._zygote: ZygoteProcess | None = None
        self._signals = Signals()
        self._crew = Crew(self._start, self._hear, self._gone)
        self._board = Switchboard(len(plan.slots), self._crew.tell, guard.now)

    def run(self) -> int:
        """Live until drained or refused; return the exit code of the command."""
        guard.settle_memory()
        with self._signals:
            self._crew.selector.register(self._signals, selectors.EVENT_READ, self._signalled)
            self._crew.employ([HEART])
            while self._phase is not Phase.LEAVING or len(self._crew):
                self._turn()
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
        return max(
            0.0, min((due - guard.now() for due in dues if due is not None), default=longest)
        )

    @property
    def _tell_every(self) -> float:
        return min(0.5, self._plan.times["renew"] / 20)

    def _tell_held(self, now: float) -> None:
        if now - self._told_held_at >= self._tell_every:
            self._told_held_at = now
            self._board.tell_held()

    # --- Children ---------------------------------------------------------------------------------
    def _start(self, role: str) -> Child:
        if role == ZYGOTE:
            return self._start_zygote()
        if role == HEART:
            self._beat_at = guard.now()
            self._board.heart_anew()
            registered, draining = self._registered, self._board.draining
            return self._fork(role, lambda link: run_heart(link, self._plan, registered, draining))
        if role == DOORBELL:
            return self._fork(role, lambda link: run_doorbell(link, self._plan.queues))
        return self._start_slot(role)

    def _start_zygote(self) -> Child:
        self._zygote = ZygoteProcess.start(self._plan.work_dir / ZYGOTE_FOLDER)
        return Child(ZYGOTE, self._zygote.pid, None, guard.now())

    def _start_slot(self, role: str) -> Child:
        if self._registered is None:
            raise RuntimeError("A slot works for a registered runner.")
        number = slot_number(role)
        facts = SlotFacts(
            plan=self._plan,
            place=self._plan.slots[number],
            runner_id=self._registered.runner,
            leftover=self._board.board[number].attempt,
            draining=self._board.draining,
        )
        zygote = ZygoteClient(self._plan.work_dir / ZYGOTE_FOLDER)
        return self._fork(role, lambda link: run_slot(link, facts, zygote))

    def _fork(self, role: str, run: Callable[[Link], int | None]) -> Child:
        return fork_child(role, run, close=self._close_in_child)

    def _close_in_child(self) -> None:
        self._signals.close()
        self._crew.close_links()

    def _gone(self, role: str) -> None:
        if role == ZYGOTE:
            if self._zygote is not None:
                self._zygote.is_alive()
        elif role == DOORBELL:
            self._board.doorbell_gone()
        elif role == HEART:
            self._beat_at = guard.now()
        else:
            self._board.slot_gone(slot_number(role))

    def _look_after(self, now: float) -> None:
        """End children that live and do nothing; others take their place."""
        if HEART in self._crew and now - self._beat_at > self._plan.times["offline"]:
            logger.error("The heart gives no sign of life; another takes its place.")
            self._beat_at = now
            self._crew.send_signal(HEART, signal.SIGKILL)
        for number in self._board.silent(now - self._plan.times["lease"]):
            logger.error("Slot %d gives no sign of life; another takes its place.", number + 1)
            self._crew.send_signal(slot_role(number), signal.SIGKILL)
        if self._board.finds_without_hint >= DEAF_AFTER and DOORBELL in self._crew:
            logger.warning("Work was found of which no hint told; another doorbell is hung up.")
            self._board.finds_without_hint = 0
            self._crew.send_signal(DOORBELL, signal.SIGKILL)

    # --- What is said -----------------------------------------------------------------------------
    def _hear(self, role: str, message: Message) -> None:
        match message:
            case Beat():
                self._beat_at = guard.now()
            case Registered():
                self._begin_work(message)
            case Refused(sentence=sentence):
                self._refused(sentence)
            case Gone(sentence=sentence):
                self._lost_its_folder(sentence)
            case Draining():
                self._drain("A person asked this runner to drain.")
            case _:
                self._board.hear(role, message)

    def _begin_work(self, registered: Registered) -> None:
        if self._phase is not Phase.REGISTERING:
            return
        self._registered = registered
        with suppress(OSError):  # The next start then waits to see whether an older one is alive.
            name_registered(self._plan.work_dir.parent, self._plan.name, self._plan.boot_id)
        know_site_mark(registered.site_mark)
        self._plan = dataclasses.replace(self._plan, queues=tuple(registered.queues))
        self._phase = Phase.ONLINE
        slots = [slot_role(place.number) for place in self._plan.slots]
        self._crew.employ([ZYGOTE, *slots, DOORBELL])
        logger.info(
            "Runner %s works for %s with %d slots, isolation %s.",
            self._plan.name,
            ", ".join(self._plan.queues),
            len(slots),
            self._plan.isolation.level,
        )

    def _lost_its_folder(self, sentence: str) -> None:
        if self._phase is Phase.ONLINE:
            sys.stderr.write(f"{sentence}\n")
            self._code = REFUSED
            self._drain("The work folder is gone.")

    def _refused(self, sentence: str) -> None:
        sys.stderr.write(f"{sentence}\n")
        self._code = REFUSED
        self._phase = Phase.LEAVING
        self._crew.dismiss_all()
        self._crew.signal_all(signal.SIGKILL)

    # --- The end ----------------------------------------------------------------------------------
    def _signalled(self) -> None:
        numbers = self._signals.read()
        if signal.SIGCHLD in numbers:
            self._crew.collect()
        if signal.SIGTERM in numbers or signal.SIGINT in numbers:
            self._told_to_end()

    def _told_to_end(self) -> None:
        if self._phase is Phase.REGISTERING:
            self._code = DRAINED
            self._phase = Phase.LEAVING
            self._crew.dismiss_all()
            self._crew.signal_all(signal.SIGKILL)
        elif self._phase is Phase.ONLINE:
            self._drain("Told to end.")
        elif self._phase is Phase.DRAINING:
            self._end_jobs("told-again", "Told to end while draining.")

    def _drain(self, why: str) -> None:
        if self._phase is not Phase.ONLINE:
            return
        logger.info("%s No more jobs are claimed; %d run to their end.", why, self._running)
        self._phase = Phase.DRAINING
        self._deadline = guard.now() + self._plan.drain_limit_s
        self._crew.dismiss(DOORBELL)
        self._crew.send_signal(DOORBELL, signal.SIGTERM)
        self._board.drain()
        self._crew.tell(HEART, Draining())

    @property
    def _running(self) -> int:
        return len(self._board.board.held())

    def _end_jobs(self, what: str, why: str) -> None:
        logger.warning("%s %d jobs are ended.", why, self._running)
        if self._running:
            self._code = KILLED_JOBS
        self._phase = Phase.ENDING
        self._deadline = guard.now() + self._plan.times["kill_grace"] + _LEAVE_S
        self._board.end_all(what)

    def _too_late(self) -> None:
        if self._phase is Phase.DRAINING:
            self._end_jobs("drain-limit", "The drain limit is reached.")
            return
        # The leases of what is killed here run out; the supervisors end the trees at once.
        self._deadline = None
        self._leave()
        self._crew.signal_all(signal.SIGKILL)

    def _leave(self) -> None:
        self._phase = Phase.LEAVING
        self._deadline = guard.now() + _LEAVE_S
        self._crew.dismiss_all()
        self._board.stop_slots()
        self._board.tell_held()
        self._crew.tell(HEART, Retire())
        self._crew.send_signal(ZYGOTE, signal.SIGKILL)
