from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runners.process.aside import AsideError, InterruptedAsideError, run_aside
from runners.process.links import Link, LinkClosedError
from runners.process.messages import (
    Alive,
    Drain,
    Message,
    Order,
    Renewed,
    Stop,
    Took,
    Wake,
)
from runners.process.slot_line import SlotLine
from tests.runners.process.living import is_alive
from tests.waiting import until


@pytest.fixture
def ends() -> Iterator[tuple[Link, SlotLine]]:
    """The parent's end, and the line of a slot that gives a sign of life every 20 ms."""
    ours, theirs = Link.pair()
    yield ours, SlotLine(theirs, 0.02, draining=False)
    ours.close()
    theirs.close()


def heard(link: Link) -> list[Message]:
    found = []
    while (message := link.receive()) is not None:
        found.append(message)
    return found


def test_a_slot_is_woken_with_the_job_run_that_was_hinted_at(ends: tuple[Link, SlotLine]) -> None:
    parent, line = ends
    parent.send(Wake("job"))
    assert line.await_wake() == Wake("job")


def test_a_slot_that_is_told_to_stop_awaits_nothing_more(ends: tuple[Link, SlotLine]) -> None:
    parent, line = ends
    parent.send(Drain())
    parent.send(Stop())
    assert line.await_wake() is None
    assert line.draining


def test_signs_of_life_are_given_while_a_slot_waits(ends: tuple[Link, SlotLine]) -> None:
    parent, line = ends
    line.begin("a", "job", 5.0)
    line.attend(0.1)
    first, *signs = heard(parent)
    assert first == Took("a", "job")
    assert set(signs) == {Alive("a")}


def test_renewals_move_the_tick_forwards_and_never_back(ends: tuple[Link, SlotLine]) -> None:
    parent, line = ends
    line.begin("a", "job", 5.0)
    assert line.orders().ticked_at == 5.0
    for message in (Renewed("a", 9.0), Renewed("a", 7.0), Renewed("another", 99.0)):
        parent.send(message)
    assert line.orders().ticked_at == 9.0


def test_orders_add_up_until_the_attempt_ends(ends: tuple[Link, SlotLine]) -> None:
    parent, line = ends
    line.begin("a", "job", 5.0)
    parent.send(Order("a", "cancel", "Eve"))
    parent.send(Order("a", "drain-limit"))
    parent.send(Order("another", "fenced"))
    orders = line.orders()
    assert (orders.cancel, orders.lost) == ("Eve", False)
    assert orders.stop is not None
    assert line.must_end
    line.end()
    line.begin("b", "job", 6.0)
    assert not line.must_end


def test_a_dead_parent_is_told(ends: tuple[Link, SlotLine]) -> None:
    parent, line = ends
    parent.close()
    with pytest.raises(LinkClosedError):
        line.orders()


def test_what_is_done_aside_comes_back_and_signs_of_life_go_on(
    ends: tuple[Link, SlotLine],
) -> None:
    parent, line = ends
    line.begin("a", "job", 5.0)
    read, write = os.pipe()
    timer = threading.Timer(0.1, lambda: os.write(write, b"go"))
    timer.start()
    assert run_aside(line, lambda: f"read {os.read(read, 2)!r}") == "read b'go'"
    timer.join()
    assert heard(parent).count(Alive("a")) >= 2
    os.close(read)
    os.close(write)


def test_an_error_aside_comes_back_as_its_sentence(ends: tuple[Link, SlotLine]) -> None:
    def fail() -> str:
        raise ValueError("There is no such commit.")

    with pytest.raises(AsideError, match=r"There is no such commit\."):
        run_aside(ends[1], fail)


def test_a_death_aside_is_an_error(ends: tuple[Link, SlotLine]) -> None:
    def die() -> str:
        os.kill(os.getpid(), signal.SIGKILL)
        return "never"

    with pytest.raises(AsideError, match="died"):
        run_aside(ends[1], die)


def test_an_order_to_end_kills_what_is_done_aside_with_its_children(
    ends: tuple[Link, SlotLine], tmp_path: Path
) -> None:
    parent, line = ends
    line.begin("a", "job", 5.0)
    mark = tmp_path / "pid"

    def work() -> str:
        if os.fork() == 0:
            mark.write_text(str(os.getpid()))
            parent.send(Order("a", "cancel", "Eve"))
        signal.pause()
        return "never"

    with pytest.raises(InterruptedAsideError):
        run_aside(line, work)
    until(lambda: not is_alive(int(mark.read_text())), "the child is dead")
