from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from runners.process.children import Child, Delay, fork_child
from runners.process.crew import Crew
from runners.process.links import Link, LinkClosedError
from runners.process.messages import Alive, Drain, Idle, Message, Stop


class House:
    """A crew whose children say their process id, repeat what they hear, and can be told to go."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Message]] = []
        self.gone: list[str] = []
        self.crew = Crew(self.start, lambda role, what: self.heard.append((role, what)), self.left)

    def start(self, role: str) -> Child:
        return fork_child(role, self.be, close=self.crew.close_links)

    def left(self, role: str) -> None:
        self.gone.append(role)

    @staticmethod
    def be(link: Link) -> int:
        link.send_surely(Alive(str(os.getpid())))
        while True:
            message = link.wait(None)
            if isinstance(message, Stop):
                return 7
            if message is not None:
                link.send_surely(message)

    def turn_until(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not done():
            assert time.monotonic() < deadline, (self.heard, self.gone)
            for key, _ in self.crew.selector.select(0.02):
                key.data()
            self.crew.collect()
            self.crew.start_due()

    def pid_of(self, role: str) -> int:
        said = [what for who, what in self.heard if who == role and isinstance(what, Alive)]
        return int(said[-1].attempt)


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    for role in ("one", "two"):
        house.crew.dismiss(role)
    house.crew.signal_all(signal.SIGKILL)
    house.turn_until(lambda: not len(house.crew))


def test_a_link_keeps_messages_whole_and_tells_the_end() -> None:
    ours, theirs = Link.pair()
    assert ours.receive() is None
    assert theirs.send(Idle())
    assert theirs.send(Alive("x"))
    theirs.close()
    assert ours.wait(1) == Idle()
    assert ours.wait(1) == Alive("x")
    with pytest.raises(LinkClosedError):
        ours.wait(1)
    with pytest.raises(LinkClosedError):
        ours.send(Idle())
    ours.close()


def test_a_link_whose_reader_sleeps_never_holds_up_the_writer() -> None:
    ours, theirs = Link.pair()
    sent = 0
    while ours.send(Alive("x" * 1000)):
        sent += 1
    assert sent > 10
    ours.close()
    theirs.close()


def test_a_child_that_is_killed_is_replaced_and_its_last_words_are_heard(house: House) -> None:
    house.crew.employ(["one"])
    house.turn_until(lambda: ("one") in dict(house.heard))
    first = house.pid_of("one")
    house.crew.tell("one", Drain())
    os.kill(first, signal.SIGSTOP)
    os.kill(first, signal.SIGKILL)
    house.turn_until(lambda: house.gone == ["one"])
    house.turn_until(lambda: house.pid_of("one") != first)


def test_a_dismissed_child_is_not_replaced(house: House) -> None:
    house.crew.employ(["one", "two"])
    house.turn_until(lambda: len({role for role, _ in house.heard}) == 2)
    house.crew.dismiss("one")
    house.crew.tell("one", Stop())
    house.turn_until(lambda: house.gone == ["one"])
    assert "one" not in house.crew
    assert "two" in house.crew
    assert house.crew.next_due is None


def test_a_child_hears_the_end_of_its_parent_although_it_has_younger_siblings() -> None:
    read, write = os.pipe()
    ours, theirs = Link.pair()
    parent = os.fork()
    if parent == 0:
        ours.close()
        os.close(read)
        house = House()
        house.crew.employ(["one", "two"])
        house.turn_until(lambda: len({role for role, _ in house.heard}) == 2)
        theirs.send(Alive(str(house.pid_of("one"))))
        theirs.send(Alive(str(house.pid_of("two"))))
        signal.pause()
    os.close(write)
    theirs.close()
    children = [ours.wait(10), ours.wait(10)]
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    # The pipe ends when the last process that holds its other end is gone.
    assert os.read(read, 1) == b""
    assert all(isinstance(child, Alive) for child in children)
    os.close(read)
    ours.close()


def test_a_role_whose_children_die_at_once_is_filled_ever_more_slowly() -> None:
    delay = Delay()
    waits = [delay.after(0.1) for _ in range(10)]
    assert waits == sorted(waits)
    assert waits[0] < 0.1
    assert waits[-1] == 5.0
    assert delay.after(60) == 0.0
