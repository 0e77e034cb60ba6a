"""How an attempt ended, from what its executor or its preparation says."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from runners.executor.shapes import AttemptResult, LogChunk, Orders
from runs.finish import AttemptEnd


@dataclass(frozen=True, slots=True)
class Finished:
    """It ended and that is to be stored, with the last pieces of its log."""

    end: AttemptEnd
    last_chunks: tuple[LogChunk, ...] = ()


@dataclass(frozen=True, slots=True)
class Fenced:
    """It is no longer this runner's: there is nothing to store."""


@dataclass(frozen=True, slots=True)
class GivenBack:
    """Nothing of the user's has run and this runner will not run it; another one may."""

    message: str


Ending = Finished | Fenced | GivenBack


def ending_of(result: AttemptResult, orders: Orders, *, started: bool) -> Ending:
    """Return the ending that an executor tells of; ``started`` says whether a start was tried."""
    if result.outcome == "fenced":
        return interrupted(orders)
    if result.reason == "runner-lost" and not started:
        return GivenBack(result.message)
    end = AttemptEnd(
        outcome=result.outcome,
        reason=result.reason or "finished",
        message=result.message,
        exit_code=result.exit_code,
        outputs=dict(result.outputs),
        log_bytes=result.log_bytes,
        log_sha256=result.log_sha256,
    )
    return Finished(end, result.last_chunks)


def interrupted(orders: Orders) -> Ending:
    """Return the ending of an attempt that was ordered to end before its start."""
    if orders.cancel is not None and not orders.lost:
        return _ended_early("cancelled", "cancel-requested", f"Cancelled by {orders.cancel}.")
    if orders.stop is not None and not orders.lost:
        return GivenBack(f"The runner gave the job back: {orders.stop}.")
    return Fenced()


def setup_failure(sentence: str, *, reason: str = "setup") -> Finished:
    """Return the ending of an attempt that could not be prepared; its log says why."""
    return _ended_early("errored", reason, sentence)


def _ended_early(outcome: str, reason: str, sentence: str) -> Finished:
    text = f"{sentence}\n".encode()
    end = AttemptEnd(
        outcome=outcome,
        reason=reason,
        message=sentence,
        exit_code=None,
        outputs={},
        log_bytes=len(text),
        log_sha256=hashlib.sha256(text).hexdigest(),
    )
    return Finished(end, (LogChunk(0, "control", 0, text),))
