"""The slot's end of a supervisor: runs stages, carries logs and orders while they run."""

from __future__ import annotations

import os
import select
import socket
import time
from contextlib import suppress
from types import TracebackType
from typing import Any

from runners.executor.job_log import JobLog
from runners.executor.shapes import JobAssignment, Reporter, Stream
from runners.executor.supervisors import Guard
from runners.executor.verdicts import StageEnd
from runners.supervisor import wire
from runners.supervisor.kernel import boot_now
from runners.supervisor.processes import sweep
from runners.supervisor.stage import Stage

_READ_BYTES = 64 * 1024
# Orders are not asked for more often, however busy the log is.
_ORDERS_PAUSE_S = 0.02
# After this part of the time in which it must begin, a supervisor says that it has.
_BEGUN_PART = 0.1
# How long a supervisor may take to kill its tree when its slot gives up.
_CLOSING_MS = 30_000
_STREAMS: tuple[Stream, ...] = ("stdout", "stderr")
_FENCED = ("fenced", "")
_SUPERVISOR_LOST = StageEnd(None, None, "supervisor-lost")


class Supervised:
    """One supervisor and what goes between it, the job's streams and the reporter.

    ``accounts`` are those that it may have to show.
    """

    def __init__(
        self, guard: Guard, assignment: JobAssignment, reporter: Reporter, log: JobLog
    ) -> None:
        self.accounts = guard.accounts
        self._guard = guard
        guard.attempts += 1
        self._control = guard.control
        self._control.setblocking(False)
        self._may_serve_again = _keeps_nothing_of(assignment)
        self._assignment = assignment
        self._reporter = reporter
        self._log = log
        self._running = False
        self._ended: StageEnd | None = None
        self._ordered: tuple[str, str] | None = None
        self._heed_cancel = True
        self._longest_s = self._overdue_at = 0.0
        self._asked_at = float("-inf")
        self._orders = reporter.orders()
        self._poll = select.poll()
        self._poll.register(self._control, select.POLLIN)
        self._watched = reporter.fileno()
        if self._watched is not None:
            self._poll.register(self._watched, select.POLLIN)
        self._streams: dict[int, Stream] = {}
        self._armed = False

    def run(self, stage: Stage, *, heed_cancel: bool = True) -> StageEnd:
        """Run a stage and return how it ended, when its tree is dead and its output is logged.

        With ``heed_cancel`` false a cancel that was obeyed before does not end this stage too.
        """
        self._guard.stages += 1
        self._ended = None
        self._ordered = None
        self._heed_cancel = heed_cancel
        self._running = True
        self._longest_s = stage.timeout_s + stage.grace_s
        self._overdue_at = boot_now() + self._assignment.timing.late_s
        self._start(stage)
        try:
            end = self._wait()
            self._drain()
        finally:
            for descriptor in list(self._streams):
                self._forget(descriptor)
        self._running = False
        self._may_serve_again &= end.reason == "exited" and self._ordered is None
        self._log.end_stage()
        return end

    def _wait(self) -> StageEnd:
        while True:
            self._ask_for_orders()
            self._log.stream.flush_if_due()
            for descriptor, _events in self._poll.poll(self._patience_ms()):
                self._handle(descriptor)
            if self._ended is not None:
                return self._ended
            if boot_now() > self._overdue_at:
                self._let_go()
                return self._bury_alone()

    def interruption(self) -> StageEnd | None:
        """Return what the present orders make of an attempt between two stages, or None."""
        self._ask_for_orders(now=True)
        order = self._present_order()
        return StageEnd(None, None, *order) if order else None

    def close(self) -> None:
        """Return when everything below the supervisor is dead. May be called twice.

        The supervisor is let go, unless all that it ran in this attempt ended by itself: then it
        has said that it has no child any more, and may serve again.
        """
        if self._running:
            self._wait_for_its_end()
        if self._running or not self._may_serve_again:
            self._let_go()

    def __enter__(self) -> Supervised:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._may_serve_again = False
        self.close()

    def _let_go(self) -> None:
        """Close the socket: a supervisor that was stuck starts nothing when it wakes up again."""
        self._running = False
        if self._control.fileno() >= 0:
            self._poll.unregister(self._control)
            self._guard.let_go()

    def _wait_for_its_end(self) -> None:
        waiting = select.poll()
        waiting.register(self._control, select.POLLIN)
        with suppress(OSError, ValueError):
            self._control.shutdown(socket.SHUT_WR)
            while waiting.poll(_CLOSING_MS) and wire.receive(self._control) is not None:
                pass

    # The streams

    def _start(self, stage: Stage) -> None:
        ends = [os.pipe2(os.O_CLOEXEC) for _stream in _STREAMS]
        if stage.uid is not None:
            # The job may then open them by name, as /dev/stderr; runc does the same.
            for _read, written in ends:
                os.fchown(written, stage.uid, -1)
        # In one message: it is obeyed in this order, or not at all.
        run = {
            "number": self._guard.stages,
            "stage": stage.to_wire(),
            "begun_after_s": self._assignment.timing.late_s * _BEGUN_PART,
        }
        order = {**self._arm(), "run": run}
        try:
            self._control.setblocking(True)
            with suppress(OSError):  # A dead supervisor is seen by the end of its socket.
                wire.send(self._control, order, [written for _read, written in ends])
            self._control.setblocking(False)
        finally:
            for _read, written in ends:
                os.close(written)
        for (descriptor, _written), stream in zip(ends, _STREAMS, strict=True):
            os.set_blocking(descriptor, False)
            self._poll.register(descriptor, select.POLLIN)
            self._streams[descriptor] = stream

    def _arm(self) -> dict[str, object]:
        """Return the order to go before the attempt's first stage: nothing is executed until then.

        Later renewals are told as ticks.
        """
        if self._armed:
            return {}
        self._armed = True
        timing = self._assignment.timing
        limits = {"term_s": timing.silence_term_s, "kill_s": timing.silence_kill_s}
        return {"arm": {**limits, "ticked_at": self._orders.ticked_at}}

    def _read(self, descriptor: int) -> bool:
        """Log a piece of a stream; return False when there is no more for now."""
        try:
            data = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return False
        if data:
            self._log.write(self._streams[descriptor], data)
        else:
            self._forget(descriptor)
        return bool(data)

    def _drain(self) -> None:
        # Not to the end of the stream: a job may have given its descriptor to someone outside.
        for descriptor in list(self._streams):
            while self._read(descriptor):
                pass

    def _forget(self, descriptor: int) -> None:
        del self._streams[descriptor]
        self._poll.unregister(descriptor)
        os.close(descriptor)

    # The supervisor

    def _handle(self, descriptor: int) -> None:
        if descriptor in self._streams:
            self._read(descriptor)
        elif descriptor == self._watched:
            self._asked_at = float("-inf")
        else:
            self._listen()

    def _listen(self) -> None:
        received = wire.receive(self._control)
        if received is None:
            self._ended = self._bury_alone()
            return
        message = received[0]
        if message.get("begun") == self._guard.stages and self._ordered is None:
            self._overdue_at = self._late_after(self._longest_s)
        ended = message.get("ended")
        if ended is not None and ended["number"] == self._guard.stages:
            self._ended = self._read_end(ended)

    def _read_end(self, ended: dict[str, Any]) -> StageEnd:
        reason, message = ended["reason"], ended["message"]
        if self._ordered and (reason == self._ordered[0] or self._ordered == _FENCED):
            reason, message = self._ordered
        return StageEnd(ended["code"], ended["signal"], reason, message)

    def _late_after(self, seconds: float) -> float:
        return boot_now() + seconds + self._assignment.timing.late_s

    def _bury_alone(self) -> StageEnd:
        """Kill the tree of a supervisor that is dead or stuck, as the zygote does too."""
        isolation = self._assignment.isolation
        sweep([self._assignment.attempt_id], None if os.geteuid() else isolation.uid)
        return _SUPERVISOR_LOST

    def _tell(self, message: dict[str, object]) -> None:
        # A full buffer means a supervisor that is busy killing; a dead one is seen elsewhere.
        with suppress(OSError):
            wire.send(self._control, message)

    # Orders

    def _patience_ms(self) -> float:
        now = time.monotonic()
        until = self._asked_at + self._assignment.timing.orders_s
        if self._log.stream.due is not None:
            until = min(until, self._log.stream.due)
        return max(0.0, min(until - now, self._overdue_at - boot_now())) * 1000

    def _ask_for_orders(self, *, now: bool = False) -> None:
        elapsed = time.monotonic() - self._asked_at
        if elapsed >= _ORDERS_PAUSE_S or now:
            ticked_at = self._orders.ticked_at
            self._orders = self._reporter.orders()
            self._asked_at = time.monotonic()
            if self._armed and self._orders.ticked_at > ticked_at:
                self._tell({"tick": self._orders.ticked_at})
        if self._running:
            self._pass_on(self._present_order())

    def _pass_on(self, order: tuple[str, str] | None) -> None:
        """Order the stage to end, once; the loss of the attempt is told after other orders too."""
        if order is None or self._ordered == order or (self._ordered and order != _FENCED):
            return
        self._ordered = order
        grace_s = 0.0 if order == _FENCED else self._assignment.timing.grace_s
        self._overdue_at = min(self._overdue_at, self._late_after(grace_s))
        self._tell({"kill": {"reason": order[0], "grace_s": grace_s}})

    def _present_order(self) -> tuple[str, str] | None:
        if self._orders.lost or self._log.stream.lost:
            return _FENCED
        if self._orders.stop is not None:
            return "stopped", self._orders.stop
        if self._orders.cancel is not None and self._heed_cancel:
            return "cancelled", self._orders.cancel
        return None


def _keeps_nothing_of(assignment: JobAssignment) -> bool:
    """Whether no job of this kind can reach its supervisor, or look into a copy of its memory.

    Without isolation they share a user. In a sandbox of the supervisor's own its first process is a
    copy of the supervisor, which remembers the environment of the attempt before.
    """
    isolation = assignment.isolation
    return isolation.level == "uid" or isolation.bubblewrap is not None
