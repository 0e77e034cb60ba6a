"""Doing something long beside a slot, which must go on giving signs of life meanwhile."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress

from runners.process import guard
from runners.process.slot_line import SlotLine

_LOOK_S = 3600.0
_ANSWER_BYTES = 65536


class AsideError(Exception):
    """What was done aside failed; the text is the sentence of its error."""


class InterruptedAsideError(Exception):
    """The attempt was ordered to end before what was done aside was over."""


def run_aside(line: SlotLine, work: Callable[[], str]) -> str:
    """Return what ``work`` returns; it runs in a forked process and must not touch the database.

    Raises AsideError with the sentence of the error that ended it, and InterruptedAsideError,
    after killing it and its children, when the attempt must end.
    """
    read, write = os.pipe2(os.O_CLOEXEC)
    slot = os.getpid()
    pid = os.fork()
    if pid == 0:
        _do(work, write, slot)
    os.close(write)
    try:
        answer = _read_answer(line, read)
    finally:
        os.close(read)
        _end(pid)
    return answer


def _do(work: Callable[[], str], write: int, slot: int) -> None:
    code = 1
    try:
        guard.die_with(slot)
        os.setsid()
        with open(write, "w", encoding="utf-8") as answer:
            try:
                json.dump(["done", work()], answer)
            except Exception as error:
                json.dump(["failed", str(error) or type(error).__name__], answer)
        code = 0
    finally:
        os._exit(code)


def _read_answer(line: SlotLine, read: int) -> str:
    text = b""
    while True:
        readable = line.attend(_LOOK_S, read)
        if line.must_end:
            raise InterruptedAsideError
        if not readable:
            continue
        piece = os.read(read, _ANSWER_BYTES)
        if not piece:
            return _answer_of(text)
        text += piece


def _answer_of(text: bytes) -> str:
    if not text:
        raise AsideError("The process that did it died.")
    how, answer = json.loads(text)
    if how != "done":
        raise AsideError(answer)
    return str(answer)


def _end(pid: int) -> None:
    """Kill the process and what it started in its session, and bury it."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
