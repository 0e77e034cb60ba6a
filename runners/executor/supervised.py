"""The slot's end of a supervisor: runs stages, carries logs and orders while they run."""

from __future__ import annotations

import os
import select
import selectors
import socket
import time
from contextlib import suppress
from types import TracebackType
from typing import Any

from runners.executor.job_log import JobLog
from runners.executor.shapes import JobAssignment, Reporter, Stream
from runners.executor.verdicts import StageEnd
from runners.supervisor import wire
from runners.supervisor.kernel import boot_now
from runners.supervisor.processes import sweep
from runners.supervisor.stage import Stage

_READ_BYTES = 64 * 1024
# Orders are not asked for more often, however busy the log is.
_ORDERS_PAUSE_S = 0.02
# How long a supervisor may take to kill its tree when its slot gives up.
_CLOSING_MS = 30_000
_FENCED = ("fenced", "")
_SUPERVISOR_LOST = StageEnd(None, None, "supervisor-lost")


class Supervised:
    """One supervisor and what goes between it, the job's streams and the reporter."""

    def __init__(
        self, control: socket.socket, assignment: JobAssignment, reporter: Reporter, log: JobLog
    ) -> None:
        self._control = control
        self._control.setblocking(False)
        self._assignment = assignment
        self._reporter = reporter
        self._log = log
        self._number = 0
        self._running = False
        self._ended: StageEnd | None = None
        self._ordered: tuple[str, str] | None = None
        self._heed_cancel = True
        self._longest_s = self._overdue_at = 0.0
        self._asked_at = float("-inf")
        self._orders = reporter.orders()
        self._selector = selectors.PollSelector()
        self._selector.register(control, selectors.EVENT_READ, "control")
        self._watched = reporter.fileno()
        if self._watched is not None:
            self._selector.register(self._watched, selectors.EVENT_READ, "orders")
        timing = assignment.timing
        self._tell(
            {
                "arm": {
                    "term_s": timing.silence_term_s,
                    "kill_s": timing.silence_kill_s,
                    "ticked_at": self._orders.ticked_at,
                }
            }
        )

    def run(self, stage: Stage, *, heed_cancel: bool = True) -> StageEnd:
        """Run a stage and return how it ended, when its tree is dead and its output is logged.

        With ``heed_cancel`` false a cancel that was obeyed before does not end this stage too.
        """
        self._number += 1
        self._ended = None
        self._ordered = None
        self._heed_cancel = heed_cancel
        self._running = True
        self._longest_s = stage.timeout_s + stage.grace_s
        self._overdue_at = boot_now() + self._assignment.timing.late_s
        streams = self._start(stage)
        try:
            end = self._wait()
            self._drain(streams)
        finally:
            for descriptor in streams:
                self._forget(descriptor)
        self._running = False
        self._log.end_stage()
        return end

    def _wait(self) -> StageEnd:
        while True:
            self._ask_for_orders()
            self._log.stream.flush_if_due()
            for key, _events in self._selector.select(self._patience()):
                self._handle(key)
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
        """Let the supervisor go; returns when everything below it is dead. May be called twice."""
        if self._running:
            self._wait_for_its_end()
        self._let_go()
        self._selector.close()

    def __enter__(self) -> Supervised:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _let_go(self) -> None:
        """Close the socket: a supervisor that was stuck starts nothing when it wakes up again."""
        self._running = False
        with suppress(KeyError, ValueError):
            self._selector.unregister(self._control)
        self._control.close()

    def _wait_for_its_end(self) -> None:
        waiting = select.poll()
        waiting.register(self._control, select.POLLIN)
        with suppress(OSError, ValueError):
            self._control.shutdown(socket.SHUT_WR)
            while waiting.poll(_CLOSING_MS) and wire.receive(self._control) is not None:
                pass

    # The streams

    def _start(self, stage: Stage) -> dict[int, Stream]:
        ends = [os.pipe2(os.O_CLOEXEC) for _stream in range(2)]
        order = {"run": {"number": self._number, "stage": stage.to_wire()}}
        try:
            self._control.setblocking(True)
            with suppress(OSError):  # A dead supervisor is seen by the end of its socket.
                wire.send(self._control, order, [written for _read, written in ends])
            self._control.setblocking(False)
        finally:
            for _read, written in ends:
                os.close(written)
        streams: dict[int, Stream] = {ends[0][0]: "stdout", ends[1][0]: "stderr"}
        for descriptor, stream in streams.items():
            os.set_blocking(descriptor, False)
            self._selector.register(descriptor, selectors.EVENT_READ, stream)
        return streams

    def _read(self, descriptor: int, stream: Stream) -> bool:
        """Log a piece of a stream; return False when there is no more for now."""
        try:
            data = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return False
        if data:
            self._log.write(stream, data)
        else:
            self._selector.unregister(descriptor)
        return bool(data)

    def _drain(self, streams: dict[int, Stream]) -> None:
        # Not to the end of the stream: a job may have given its descriptor to someone outside.
        for descriptor, stream in streams.items():
            if descriptor in self._selector.get_map():
                while self._read(descriptor, stream):
                    pass

    def _forget(self, descriptor: int) -> None:
        with suppress(KeyError):
            self._selector.unregister(descriptor)
        os.close(descriptor)

    # The supervisor

    def _handle(self, key: selectors.SelectorKey) -> None:
        if key.data == "control":
            self._listen()
        elif key.data == "orders":
            self._asked_at = float("-inf")
        else:
            self._read(key.fd, key.data)

    def _listen(self) -> None:
        received = wire.receive(self._control)
        if received is None:
            self._ended = self._bury_alone()
            return
        message = received[0]
        if message.get("begun") == self._number and self._ordered is None:
            self._overdue_at = self._late_after(self._longest_s)
        ended = message.get("ended")
        if ended is not None and ended["number"] == self._number:
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

    def _patience(self) -> float:
        now = time.monotonic()
        until = self._asked_at + self._assignment.timing.orders_s
        if self._log.stream.due is not None:
            until = min(until, self._log.stream.due)
        return max(0.0, min(until - now, self._overdue_at - boot_now()))

    def _ask_for_orders(self, *, now: bool = False) -> None:
        elapsed = time.monotonic() - self._asked_at
        if elapsed >= _ORDERS_PAUSE_S or now:
            ticked_at = self._orders.ticked_at
            self._orders = self._reporter.orders()
            self._asked_at = time.monotonic()
            if self._orders.ticked_at > ticked_at:
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
