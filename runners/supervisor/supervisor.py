"""The guard of an attempt: it starts the stages its slot orders and outlives none of them.

Every guard is armed before anything of the job is executed: own session, subreaper, not
readable by others, the dead man's timer on CLOCK_BOOTTIME, the control socket, the death of the
zygote. When any of them speaks, the whole tree is killed.

A slot may arm the supervisor again for its next attempt. Between two stages it has no child, and
nothing of the attempt before but what lies forgotten in its memory. While nothing runs, silence
only disarms it: it then starts nothing until it is armed again.

Orders, each a message of one key:

* ``{"arm": {"term_s", "kill_s", "ticked_at"}}`` before the first stage of each attempt: the limits
  of silence, in seconds.
* ``{"tick": ticked_at}``: a renewal sent at that instant of CLOCK_BOOTTIME succeeded.
* ``{"run": {"number", "stage", "begun_after_s"}}`` with two descriptors, stdout and stderr.
* ``{"kill": {"reason", "grace_s"}}``: end the present stage.

The answers to ``run`` are ``{"begun": number}`` if the stage is still running after those seconds,
which saves both sides the message of a short one, and, when the stage's whole tree is dead,
``{"ended": {"number", "code", "signal", "reason", "message"}}``. ``reason`` is exited, timed-out,
silence, slot-lost, zygote-lost, cannot-start, or the one given with ``kill``. ``message`` says why
it could not start, or how many seconds of silence there had been.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from runners.supervisor import kernel, wire
from runners.supervisor.namespaces import AccountsSeen
from runners.supervisor.processes import (
    descendants_of,
    destroy_all_children,
    reap,
    signal_processes,
)
from runners.supervisor.stage import Stage, Started, start


class _Running:
    """The present stage: its process, its deadlines on CLOCK_BOOTTIME, why it is to end."""

    def __init__(self, number: int, stage: Stage, started: Started, begun_after_s: float) -> None:
        now = kernel.boot_now()
        self.number = number
        self.stage = stage
        self.started = started
        self.tell_begun_at: float | None = now + begun_after_s
        self.times_out_at = now + stage.timeout_s
        self.reason = ""
        self.silent_s = 0.0
        self.kill_at: float | None = None
        self.statuses: dict[int, int] = {}

    @property
    def own_uid(self) -> int | None:
        """The user whose processes all belong to this stage, if there is such a user."""
        return self.stage.uid if self.stage.uid_is_own else None

    @property
    def dead(self) -> bool:
        """Whether the first process has been buried."""
        return self.started.pid in self.statuses


class Supervisor:
    """One supervising process; ``serve`` returns when its work is over and its tree is dead."""

    def __init__(self, control: socket.socket, zygote: int) -> None:
        """Arm what can be armed; ``zygote`` is a descriptor that is readable once it is dead."""
        os.setsid()
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
        self._control = control
        self._zygote = zygote
        self._timer = kernel.BootTimer()
        self._kill_first = kernel.KillFirst()
        self._accounts = AccountsSeen()
        self._armed = False
        self._term_s = self._kill_s = self._ticked_at = 0.0
        self._running: _Running | None = None
        self._over = False
        self._poll = select.poll()
        # In this order they are handled: what ends everything, then what could begin something.
        for descriptor in (zygote, self._timer.fd, control.fileno()):
            self._poll.register(descriptor, select.POLLIN)

    def serve(self) -> None:
        """Obey orders until the slot, the zygote or the ticks are gone, then kill what lives."""
        try:
            while not self._over:
                self._timer.set(self._next_deadline())
                for descriptor, events in self._poll.poll():
                    if not self._over:
                        self._handle(descriptor, events)
        finally:
            self._destroy()

    def _handle(self, descriptor: int, events: int) -> None:
        if self._running and descriptor == self._running.started.pinned:
            self._end_stage()
        elif descriptor == self._control.fileno() and events & select.POLLHUP:
            # Orders of a slot that is gone are not obeyed, even if they lie there unread.
            self._give_up("slot-lost")
        elif descriptor == self._control.fileno():
            self._obey()
        elif descriptor == self._zygote:
            self._give_up("zygote-lost")
        elif descriptor == self._timer.fd:
            self._catch_up()
            self._check_deadlines()

    # Orders

    def _catch_up(self) -> None:
        """Take note of all that came before now: this process may have stood still.

        A stage that has ended was not ended by a deadline, and ticks that lie unread were sent.
        """
        if self._running and _events_of(self._running.started.pinned):
            self._end_stage()
        while not self._over and (events := _events_of(self._control.fileno())):
            self._handle(self._control.fileno(), events)

    def _obey(self) -> None:
        received = wire.receive(self._control)
        if received is None:
            self._give_up("slot-lost")
            return
        message, descriptors = received
        try:
            for order, details in message.items():
                self._obey_one(order, details, descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _obey_one(self, order: str, details: Any, descriptors: list[int]) -> None:
        if order == "tick":
            self._ticked_at = max(self._ticked_at, float(details))
            self._reap_orphans()
        elif order == "run":
            self._start(details, descriptors)
        elif order == "kill":
            self._ask_to_end(details["reason"], details["grace_s"])
        elif order == "arm":
            self._arm(**details)
        else:
            raise ValueError(f"unknown order {order}")

    def _arm(self, term_s: float, kill_s: float, ticked_at: float) -> None:
        if self._running:
            raise ValueError("a stage of the attempt before is still running")
        self._term_s, self._kill_s, self._ticked_at = term_s, kill_s, ticked_at
        self._armed = True

    def _start(self, details: Mapping[str, Any], descriptors: list[int]) -> None:
        if self._running:
            raise ValueError("a stage is running already")
        self._check_deadlines()
        if not self._armed:
            # The order may have lain unread while this process, or the machine, stood still.
            self._over = True
            self._tell_end(details["number"], "silence", message=_in_seconds(self._silent_s()))
            return
        stage = Stage.from_wire(details["stage"])
        self._accounts.show(stage.accounts)
        started = start(stage, self._kill_first, stdout=descriptors[0], stderr=descriptors[1])
        self._running = _Running(details["number"], stage, started, details["begun_after_s"])
        self._poll.register(started.pinned, select.POLLIN)

    # Deadlines

    def _next_deadline(self) -> float | None:
        if not self._armed:
            return None
        silent = self._running is not None and self._running.reason == "silence"
        deadlines = [self._ticked_at + (self._kill_s if silent else self._term_s)]
        if self._running:
            if self._running.kill_at is not None:
                deadlines.append(self._running.kill_at)
            else:
                deadlines.append(self._running.times_out_at)
            if self._running.tell_begun_at is not None:
                deadlines.append(self._running.tell_begun_at)
        return min(deadlines)

    def _check_deadlines(self) -> None:
        now = kernel.boot_now()
        running = self._running
        if running and running.tell_begun_at is not None and now >= running.tell_begun_at:
            running.tell_begun_at = None
            self._tell({"begun": running.number})
        if running is None:
            self._armed &= now < self._ticked_at + self._term_s
        elif now >= self._ticked_at + self._kill_s:
            self._give_up("silence")
        elif running.kill_at is not None and now >= running.kill_at:
            self._kill_stage(running)
        elif now >= self._ticked_at + self._term_s:
            self._ask_to_end("silence", self._kill_s - self._term_s)
        elif now >= running.times_out_at:
            self._ask_to_end("timed-out", running.stage.grace_s)

    def _silent_s(self) -> float:
        return kernel.boot_now() - self._ticked_at

    def _ask_to_end(self, reason: str, grace_s: float) -> None:
        """Send TERM to the job's own processes and set the time of KILL; silence is the strongest.

        A later order can only bring the end nearer.
        """
        running = self._running
        if running is None:
            return
        if not running.reason or reason == "silence":
            running.reason = reason
            running.silent_s = self._silent_s()
        kill_at = kernel.boot_now() + grace_s
        running.kill_at = kill_at if running.kill_at is None else min(running.kill_at, kill_at)
        family = descendants_of(os.getpid(), below=running.stage.wrappers)
        signal_processes(family, signal.SIGTERM)
        signal_processes(family, signal.SIGCONT)

    # Ends

    def _reap_orphans(self) -> None:
        """Bury adopted processes that died, which would count against the job's limit."""
        if self._running:
            reap(self._running.statuses)

    def _end_stage(self) -> None:
        running = self._running
        if running is not None:
            reap(running.statuses)
            if running.dead:
                self._kill_stage(running)

    def _kill_stage(self, running: _Running) -> None:
        running.statuses.update(destroy_all_children(running.own_uid))
        self._forget(running)
        self._report(running)
        if running.reason == "silence":
            self._over = True

    def _give_up(self, reason: str) -> None:
        self._over = True
        if self._running:
            self._running.reason = reason
            self._running.silent_s = self._silent_s()
            self._kill_stage(self._running)

    def _destroy(self) -> None:
        running = self._running
        destroy_all_children(running.own_uid if running else None)

    def _forget(self, running: _Running) -> None:
        self._poll.unregister(running.started.pinned)
        os.close(running.started.pinned)
        self._running = None

    def _report(self, running: _Running) -> None:
        message = running.started.why_not()
        code = os.waitstatus_to_exitcode(running.statuses[running.started.pid])
        reason = running.reason or ("cannot-start" if message else "exited")
        if reason == "silence":
            message = _in_seconds(running.silent_s)
        self._tell_end(running.number, reason, code=code, message=message)

    def _tell_end(
        self, number: int, reason: str, *, code: int | None = None, message: str = ""
    ) -> None:
        ended = {
            "number": number,
            "code": code if code is not None and code >= 0 else None,
            "signal": -code if code is not None and code < 0 else None,
            "reason": reason,
            "message": message,
        }
        self._tell({"ended": ended})

    def _tell(self, message: Mapping[str, Any]) -> None:
        with suppress(OSError):  # The end of the slot is seen by its socket.
            wire.send(self._control, message)


def _events_of(descriptor: int) -> int:
    """Return what poll(2) reports of a descriptor now, 0 for nothing."""
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    return next((events for _descriptor, events in waiting.poll(0)), 0)


def _in_seconds(seconds: float) -> str:
    return f"{round(seconds, 0 if seconds >= 10 else 1):g}"
