"""A slot's end of its link: signs of life out, renewals and orders in."""

from __future__ import annotations

import select

from runners.executor.shapes import Orders
from runners.process import guard
from runners.process.links import Link
from runners.process.messages import Alive, Drain, Message, Order, Renewed, Stop, Took, Wake

_STOPS = {
    "drain-limit": "it was drained, and its time for running jobs was up",
    "told-again": "it was told to end while it drained, so it did not wait for running jobs",
}


class SlotLine:
    """What a slot knows from its parent, kept up to date whenever the slot looks.

    Every method that looks raises LinkClosedError when the parent is gone.
    """

    def __init__(self, link: Link, alive_every_s: float, *, draining: bool) -> None:
        self.draining = draining
        self.leaving = False
        self._link = link
        self._alive_every_s = alive_every_s
        self._alive_due = 0.0
        self._attempt: str | None = None
        self._orders = Orders(ticked_at=0.0)

    def fileno(self) -> int:
        """Return the descriptor that is readable when there is something to look at."""
        return self._link.fileno()

    def begin(self, attempt: str, job_run: str, ticked_at: float) -> None:
        """Say that the slot works on the attempt, whose lease was taken just after that time."""
        self._attempt = attempt
        self._orders = Orders(ticked_at=ticked_at)
        self._alive_due = guard.now() + self._alive_every_s
        self._link.send_surely(Took(attempt, job_run))

    def end(self) -> None:
        """Take no more orders for the attempt, which has ended."""
        self._attempt = None

    def await_wake(self) -> Wake | None:
        """Wait until the slot is woken; None when it is to leave."""
        while not self.leaving:
            message = self._link.wait(None)
            if isinstance(message, Wake):
                return message
            self._take(message)
        return None

    def orders(self) -> Orders:
        """Return the present orders for the attempt, after giving a sign of life if one is due."""
        self.attend(0.0)
        return self._orders

    def attend(self, seconds: float, also: int | None = None) -> bool:
        """Hear, and give signs of life, until that time is over or something was heard.

        Returns whether the descriptor ``also`` is readable, which ends the waiting too.
        """
        self._give_sign()
        until = guard.now() + seconds
        while not self._hear():
            rest = until - guard.now()
            if self._readable(also, max(0.0, min(rest, self._alive_every_s))):
                return True
            self._give_sign()
            if rest <= 0:
                return False
        return self._readable(also, 0.0)

    def _hear(self) -> bool:
        heard = message = self._link.receive()
        while message is not None:
            self._take(message)
            message = self._link.receive()
        return heard is not None

    def _readable(self, also: int | None, seconds: float) -> bool:
        waited_for = [self._link.fileno()] if also is None else [self._link.fileno(), also]
        return also in select.select(waited_for, [], [], seconds)[0]

    @property
    def must_end(self) -> bool:
        """Whether the present attempt was ordered to end, as far as was heard."""
        orders = self._orders
        return bool(orders.lost or orders.cancel or orders.stop)

    def _give_sign(self) -> None:
        now = guard.now()
        if self._attempt is not None and now >= self._alive_due:
            self._alive_due = now + self._alive_every_s
            self._link.send(Alive(self._attempt))

    def _take(self, message: Message | None) -> None:
        match message:
            case Drain():
                self.draining = True
            case Stop():
                self.leaving = True
            case Renewed(attempt=attempt, at=at) if attempt == self._attempt:
                self._change(ticked_at=max(at, self._orders.ticked_at))
            case Order(attempt=attempt, what=what, by=by) if attempt == self._attempt:
                self._obey(what, by)
            case _:
                pass

    def _obey(self, what: str, by: str) -> None:
        if what == "fenced":
            self._change(lost=True)
        elif what == "cancel":
            self._change(cancel=by or "the platform")
        else:
            self._change(stop=_STOPS[what])

    def _change(
        self,
        *,
        ticked_at: float | None = None,
        cancel: str | None = None,
        stop: str | None = None,
        lost: bool = False,
    ) -> None:
        before = self._orders
        self._orders = Orders(
            ticked_at=before.ticked_at if ticked_at is None else ticked_at,
            cancel=before.cancel or cancel,
            stop=before.stop or stop,
            lost=before.lost or lost,
        )
