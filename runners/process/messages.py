"""What the processes of one runner say to each other: small frozen values, one per datagram.

On the wire a message is a JSON list: the name of its class, then its fields in order. Ids are
text there, because JSON has no UUID. Times are seconds of CLOCK_BOOTTIME.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Message:
    """The base of all messages."""


# --- A slot to the parent -----------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Idle(Message):
    """The slot has no job and looks for none until it is woken."""


@dataclass(frozen=True, slots=True)
class Took(Message):
    """The slot has claimed an attempt, works on it from now on and is through with the last."""

    attempt: str
    job_run: str


@dataclass(frozen=True, slots=True)
class Alive(Message):
    """The slot still works on the attempt."""

    attempt: str


@dataclass(frozen=True, slots=True)
class Swept(Message):
    """A new process of the slot found nothing alive of the attempt of the one before it."""

    attempt: str


# --- The parent to a slot -----------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Wake(Message):
    """Claim: the named job run if it is still there, else the oldest one."""

    job_run: str | None


@dataclass(frozen=True, slots=True)
class Renewed(Message):
    """The lease of the attempt was renewed; ``at`` is from before the renewal was sent."""

    attempt: str
    at: float


@dataclass(frozen=True, slots=True)
class Order(Message):
    """End the attempt: ``what`` is cancel, fenced (another owns it), drain-limit or told-again.

    The last two end a drain: its time is up, or the runner was told to end while it drained.
    ``by`` says who cancelled the attempt.
    """

    attempt: str
    what: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Drain(Message):
    """Claim nothing more."""


@dataclass(frozen=True, slots=True)
class Stop(Message):
    """Leave: there is nothing more to do."""


# --- The doorbell and the parent ----------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Hint(Message):
    """A hint came from the queue."""

    job_run: str


@dataclass(frozen=True, slots=True)
class Busy(Message):
    """No slot is free: put the hint back for other runners and wait for ``Go``."""


@dataclass(frozen=True, slots=True)
class Go(Message):
    """A slot is free: take the next hint."""


# --- The heart and the parent -------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Registered(Message):
    """The runner is in the database; these are its facts there."""

    runner: str
    queues: list[str]
    site_mark: str


@dataclass(frozen=True, slots=True)
class Refused(Message):
    """The runner cannot be, or no longer be, the one of its name; ``sentence`` says why."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Beat(Message):
    """The heart goes round; sent whether the database answers or not."""


@dataclass(frozen=True, slots=True)
class Held(Message):
    """The attempts that the runner works on, by id with the time of the last sign of life.

    ``lost`` are those to be ended as lost, with what to say of each: nothing of them is alive, and
    no ``LossesStored`` has named them yet.
    """

    attempts: dict[str, float]
    free: int
    lost: dict[str, str]


@dataclass(frozen=True, slots=True)
class Leases(Message):
    """The attempts that a renewal, sent after ``at``, found to be this runner's."""

    attempts: list[str]
    at: float


@dataclass(frozen=True, slots=True)
class Orders(Message):
    """Attempts that must end, with who cancelled them; see ``Order``."""

    attempts: dict[str, str]
    what: str


@dataclass(frozen=True, slots=True)
class Work(Message):
    """So many job runs are there to be claimed (at least)."""

    count: int


@dataclass(frozen=True, slots=True)
class LossesStored(Message):
    """The attempts have ended in the database."""

    attempts: list[str]


@dataclass(frozen=True, slots=True)
class Room(Message):
    """The work folder lacks what the sentence says to prepare a job; "" when it lacks nothing."""

    lack: str


@dataclass(frozen=True, slots=True)
class Gone(Message):
    """The work folder is gone; the sentence says so, and what to do."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Draining(Message):
    """Someone asked the runner to drain: a person by the database, or the parent by a signal."""


@dataclass(frozen=True, slots=True)
class Retire(Message):
    """The runner has ended all its work: say so in the database and leave."""


_CLASSES: dict[str, type[Message]] = {
    cls.__name__: cls
    for cls in (
        *(Idle, Took, Alive, Swept),
        *(Wake, Renewed, Order, Drain, Stop),
        *(Hint, Busy, Go),
        *(
            Registered,
            Refused,
            Beat,
            Held,
            Leases,
            Orders,
            Work,
            LossesStored,
            Room,
            Gone,
            Draining,
        ),
        Retire,
    )
}
_FIELDS = {cls: tuple(field.name for field in fields(cls)) for cls in _CLASSES.values()}


class UnknownMessageError(ValueError):
    """A datagram is no message of this protocol."""


def encode(message: Message) -> bytes:
    """Return the datagram of a message."""
    kind = type(message)
    values = [getattr(message, name) for name in _FIELDS[kind]]
    return json.dumps([kind.__name__, *values], separators=(",", ":")).encode()


def decode(datagram: bytes) -> Message:
    """Return the message of a datagram. Raises UnknownMessageError for anything else."""
    try:
        name, *values = json.loads(datagram)
        kind: Any = _CLASSES[name]
        message: Message = kind(*values)
    except (ValueError, KeyError, TypeError) as error:
        raise UnknownMessageError(f"No message of a runner: {datagram[:200]!r}") from error
    return message
