"""Who is told what: the messages of a runner's children turned into messages to others.

Pure but for the clock that it is given; the parent carries the messages.
"""

from __future__ import annotations

from collections.abc import Callable

from runners.process.board import Board, Doing
from runners.process.messages import (
    Alive,
    Busy,
    Drain,
    Go,
    Held,
    Hint,
    Idle,
    Leases,
    LossesStored,
    Message,
    Order,
    Orders,
    Renewed,
    Room,
    Stop,
    Swept,
    Took,
    Wake,
    Work,
)

Tell = Callable[[str, Message], None]

HEART = "heart"
DOORBELL = "doorbell"
_SLOT = "slot "

#: Polls that found work, with no hint between them, after which the doorbell counts as deaf.
DEAF_AFTER = 3


def slot_role(number: int) -> str:
    """Return the role of a slot's process; people count from 1."""
    return f"{_SLOT}{number + 1}"


def slot_number(role: str) -> int:
    """Return the number of the slot of that role."""
    return int(role.removeprefix(_SLOT)) - 1


class Switchboard:
    """Passes on what children say; ``tell`` sends, ``clock`` gives seconds of CLOCK_BOOTTIME."""

    def __init__(self, slots: int, tell: Tell, clock: Callable[[], float]) -> None:
        self.board = Board(slots)
        self.draining = False
        self.lacks_room = False
        self.changed = True
        self.finds_without_hint = 0
        self._tell = tell
        self._clock = clock
        self._doorbell_waits = False
        self._lost: dict[str, str] = {}

    def hear(self, role: str, message: Message) -> None:
        """Act on a message of a child."""
        match message:
            case Idle() | Took() | Alive() | Swept():
                self._hear_slot(slot_number(role), message)
            case Hint(job_run=job_run):
                self._hint(job_run)
            case Room(lack=lack):
                self.lacks_room, self.changed = bool(lack), True
                self._release_doorbell()
            case Work() | LossesStored() | Leases() | Orders():
                self._hear_heart(message)
            case _:
                raise ValueError(f"The {role} has no business to say {message!r}.")

    def tell_held(self) -> None:
        """Tell the heart which attempts are worked on or lost, if that has changed."""
        if self.changed:
            self.changed = False
            free = self.board.free if self._claims else 0
            self._tell(HEART, Held(self.board.held(), free, dict(self._lost)))

    def slot_gone(self, number: int) -> str | None:
        """Note that a slot's process died; return the attempt that it leaves behind."""
        self.changed = True
        return self.board.died(number)

    def heart_anew(self) -> None:
        """Note that another heart starts, which is to be told everything."""
        self.changed = True

    def doorbell_gone(self) -> None:
        """Note that the doorbell died; its successor asks anew."""
        self._doorbell_waits = False
        self.finds_without_hint = 0

    def drain(self) -> None:
        """From now on nothing is claimed any more."""
        self.draining = True
        self.changed = True
        self._tell_slots(Drain())

    def end_all(self, what: str) -> None:
        """Order every attempt to end because the runner may not wait for it; see ``Order``."""
        for attempt in self.board.held():
            self._pass_on(attempt, Order(attempt, what))

    def stop_slots(self) -> None:
        """Tell every slot to leave."""
        self._tell_slots(Stop())

    def silent(self, since: float) -> list[int]:
        """Return the slots that were to do something and gave no sign of life since then."""
        return [
            number
            for number in range(len(self.board))
            if self.board[number].doing in (Doing.WOKEN, Doing.BUSY)
            and self.board[number].seen_at < since
        ]

    def _tell_slots(self, message: Message) -> None:
        for number in range(len(self.board)):
            self._tell(slot_role(number), message)

    def _hear_slot(self, number: int, message: Message) -> None:
        self.changed = True
        match message:
            case Idle():
                self.board.idle(number)
                self._release_doorbell()
            case Took(attempt=attempt):
                self.board.took(number, attempt, self._clock())
            case Alive(attempt=attempt):
                self.board.alive(number, attempt, self._clock())
            case Swept(attempt=attempt) if self.board.swept(number, attempt):
                self._lost[attempt] = "The process that ran the job died."
            case _:
                pass

    def _hear_heart(self, message: Work | LossesStored | Leases | Orders) -> None:
        match message:
            case Work(count=count):
                self._work(count)
            case LossesStored(attempts=ended):
                for attempt in ended:
                    self._lost.pop(attempt, None)
            case Leases(attempts=attempts, at=at):
                for attempt in attempts:
                    self._pass_on(attempt, Renewed(attempt, at))
            case Orders(attempts=attempts, what=what):
                for attempt, by in attempts.items():
                    self._pass_on(attempt, Order(attempt, what, by))

    @property
    def _claims(self) -> bool:
        return not self.draining and not self.lacks_room

    def _hint(self, job_run: str) -> None:
        self._doorbell_waits = True
        self.finds_without_hint = 0
        if not self._claims or not self._wake_one(job_run):
            self._tell(DOORBELL, Busy())
        self._release_doorbell()

    def _release_doorbell(self) -> None:
        if self._doorbell_waits and self.board.free and self._claims:
            self._doorbell_waits = False
            self._tell(DOORBELL, Go())

    def _work(self, count: int) -> None:
        self.finds_without_hint += 1
        for _ in range(count):
            if not self._claims or not self._wake_one(None):
                return

    def _wake_one(self, job_run: str | None) -> bool:
        number = self.board.wake(self._clock())
        if number is None:
            return False
        self.changed = True
        self._tell(slot_role(number), Wake(job_run))
        return True

    def _pass_on(self, attempt: str, message: Message) -> None:
        number = self.board.slot_of(attempt)
        if number is not None:
            self._tell(slot_role(number), message)
