"""What each slot of a runner is doing, as its parent knows it: pure, without processes."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Doing(enum.Enum):
    """What a slot does."""

    ABSENT = "absent"  # its process is not there (yet)
    IDLE = "idle"  # it waits to be woken
    WOKEN = "woken"  # it was told to claim and has not said with what success
    BUSY = "busy"  # it works on an attempt


@dataclass(slots=True)
class SlotState:
    """One slot; ``attempt`` stays when the process dies, until the next one has swept."""

    doing: Doing = Doing.ABSENT
    attempt: str | None = None
    seen_at: float = 0.0


class Board:
    """All slots of a runner, by number from 0."""

    def __init__(self, slots: int) -> None:
        self._slots = [SlotState() for _ in range(slots)]

    def __len__(self) -> int:
        return len(self._slots)

    def __getitem__(self, slot: int) -> SlotState:
        return self._slots[slot]

    def idle(self, slot: int) -> None:
        """Note that the slot waits to be woken."""
        self._slots[slot] = SlotState(Doing.IDLE)

    def took(self, slot: int, attempt: str, now: float) -> None:
        """Note that the slot works on the attempt."""
        self._slots[slot] = SlotState(Doing.BUSY, attempt, now)

    def alive(self, slot: int, attempt: str, now: float) -> None:
        """Note a sign of life; one of another attempt than the slot's is no news."""
        state = self._slots[slot]
        if state.attempt == attempt and state.doing is Doing.BUSY:
            state.seen_at = now

    def died(self, slot: int) -> str | None:
        """Note that the slot's process is gone; return the attempt that it leaves behind."""
        state = self._slots[slot]
        state.doing = Doing.ABSENT
        return state.attempt

    def swept(self, slot: int, attempt: str) -> bool:
        """Note that nothing of the attempt is alive; return whether the slot had left it."""
        state = self._slots[slot]
        if state.attempt != attempt or state.doing is not Doing.ABSENT:
            return False
        state.attempt = None
        return True

    def wake(self, now: float) -> int | None:
        """Choose an idle slot, note it as woken and return it; None when there is none."""
        for number, state in enumerate(self._slots):
            if state.doing is Doing.IDLE:
                self._slots[number] = SlotState(Doing.WOKEN, None, now)
                return number
        return None

    @property
    def free(self) -> int:
        """Return how many slots wait to be woken."""
        return sum(state.doing is Doing.IDLE for state in self._slots)

    @property
    def at_rest(self) -> bool:
        """Return whether no slot works, is about to claim, or left an attempt behind."""
        at_rest = (Doing.IDLE, Doing.ABSENT)
        return all(state.doing in at_rest and state.attempt is None for state in self._slots)

    def held(self) -> dict[str, float]:
        """Return the attempts that slots work on, with the time of their last sign of life."""
        return {
            state.attempt: state.seen_at
            for state in self._slots
            if state.doing is Doing.BUSY and state.attempt is not None
        }

    def slot_of(self, attempt: str) -> int | None:
        """Return the slot that works on the attempt."""
        for number, state in enumerate(self._slots):
            if state.attempt == attempt and state.doing is Doing.BUSY:
                return number
        return None
