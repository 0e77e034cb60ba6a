from __future__ import annotations

import pytest

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
    Swept,
    Took,
    UnknownMessageError,
    Wake,
    Work,
    decode,
    encode,
)
from runners.process.messages import (
    Room as Space,
)
from runners.process.switchboard import DEAF_AFTER, Switchboard


class Room:
    """A switchboard with two slots, and all that it told anybody."""

    def __init__(self) -> None:
        self.now = 100.0
        self.told: list[tuple[str, Message]] = []
        self.board = Switchboard(2, self.tell, lambda: self.now)

    def tell(self, role: str, message: Message) -> None:
        self.told.append((role, message))

    def hear(self, role: str, message: Message) -> list[tuple[str, Message]]:
        self.told = []
        self.board.hear(role, message)
        return self.told


def losses(room: Room) -> list[str]:
    """Return the attempts that the heart is told are lost."""
    room.told = []
    room.board.tell_held()
    [(role, message)] = room.told
    assert isinstance(message, Held)
    assert role == "heart"
    return list(message.lost)


@pytest.fixture
def room() -> Room:
    room = Room()
    room.hear("slot 1", Idle())
    room.hear("slot 2", Idle())
    return room


def test_every_message_survives_the_wire() -> None:
    for message in (
        Wake(None),
        Wake("a"),
        Held({"a": 1.5}, 2, {"b": "gone\n"}),
        Leases(["a", "b"], 3.25),
        Order("a", "cancel"),
        LossesStored(["a"]),
        Idle(),
    ):
        assert decode(encode(message)) == message


def test_runner_without_room_gives_hints_back(room: Room) -> None:
    room.hear("heart", Space("Only 1 MiB is free."))
    assert room.hear("heart", Work(2)) == []
    assert room.hear("doorbell", Hint("job")) == [("doorbell", Busy())]
    room.told = []
    room.board.tell_held()
    assert room.told == [("heart", Held({}, 0, {}))]
    assert room.hear("heart", Space("")) == [("doorbell", Go())]
    assert room.hear("heart", Work(1)) == [("slot 1", Wake(None))]


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b'["Nothing"]', b'["Wake"]', b'["Idle",1]'])
def test_a_datagram_of_another_protocol_is_refused(text: bytes) -> None:
    with pytest.raises(UnknownMessageError):
        decode(text)


def test_a_hint_wakes_an_idle_slot_and_the_doorbell_goes_on_while_another_is_free(
    room: Room,
) -> None:
    assert room.hear("doorbell", Hint("job")) == [("slot 1", Wake("job")), ("doorbell", Go())]


def test_the_doorbell_waits_while_no_slot_is_free(room: Room) -> None:
    room.hear("doorbell", Hint("one"))
    assert room.hear("doorbell", Hint("two")) == [("slot 2", Wake("two"))]
    assert room.hear("slot 1", Took("attempt", "one")) == []
    assert room.hear("slot 1", Took("next", "three")) == []
    assert room.hear("slot 1", Idle()) == [("doorbell", Go())]


def test_a_busy_runner_gives_a_hint_back(room: Room) -> None:
    room.hear("slot 1", Took("a", "one"))
    room.hear("slot 2", Took("b", "two"))
    assert room.hear("doorbell", Hint("three")) == [("doorbell", Busy())]
    assert room.hear("slot 2", Idle()) == [("doorbell", Go())]


def test_work_found_by_polling_wakes_no_more_slots_than_there_is_work(room: Room) -> None:
    assert room.hear("heart", Work(1)) == [("slot 1", Wake(None))]
    assert room.hear("heart", Work(5)) == [("slot 2", Wake(None))]


def test_a_renewal_and_an_order_reach_the_slot_of_the_attempt_and_no_other(room: Room) -> None:
    room.hear("slot 2", Took("a", "one"))
    assert room.hear("heart", Leases(["a", "of-nobody"], 99.0)) == [("slot 2", Renewed("a", 99.0))]
    assert room.hear("heart", Orders({"a": "Eve"}, "cancel")) == [
        ("slot 2", Order("a", "cancel", "Eve"))
    ]


def test_signs_of_life_carry_the_time_at_which_they_came(room: Room) -> None:
    room.hear("slot 1", Took("a", "one"))
    room.now = 105.0
    room.hear("slot 1", Alive("a"))
    room.hear("slot 1", Alive("an-older-one"))
    room.told = []
    room.board.tell_held()
    room.board.tell_held()
    assert room.told == [("heart", Held({"a": 105.0}, 1, {}))]


def test_an_attempt_is_told_lost_only_after_its_slot_was_swept(room: Room) -> None:
    room.hear("slot 1", Took("a", "one"))
    assert room.board.slot_gone(0) == "a"
    assert not room.board.board.at_rest
    assert room.hear("slot 2", Swept("a")) == []
    assert losses(room) == []
    room.hear("slot 1", Swept("a"))
    assert losses(room) == ["a"]
    assert room.board.board.at_rest


def test_loss_is_told_to_each_heart_until_it_is_stored(room: Room) -> None:
    room.hear("slot 1", Took("a", "one"))
    room.board.slot_gone(0)
    room.hear("slot 1", Swept("a"))
    for _heart in range(2):
        room.board.heart_anew()
        assert losses(room) == ["a"]
    room.hear("heart", LossesStored(["a"]))
    room.board.heart_anew()
    assert losses(room) == []


def test_a_draining_runner_wakes_no_slot(room: Room) -> None:
    room.told = []
    room.board.drain()
    assert room.told == [("slot 1", Drain()), ("slot 2", Drain())]
    assert room.hear("heart", Work(2)) == []
    assert room.hear("doorbell", Hint("job")) == [("doorbell", Busy())]
    room.told = []
    room.board.tell_held()
    assert room.told == [("heart", Held({}, 0, {}))]


def test_a_slot_that_says_nothing_is_found(room: Room) -> None:
    room.hear("slot 1", Took("a", "one"))
    room.hear("heart", Work(1))
    room.now = 200.0
    room.hear("slot 1", Alive("a"))
    assert room.board.silent(150.0) == [1]


def test_finds_without_hints_are_counted(room: Room) -> None:
    for _ in range(DEAF_AFTER):
        room.hear("heart", Work(1))
    assert room.board.finds_without_hint == DEAF_AFTER
    room.hear("doorbell", Hint("job"))
    assert room.board.finds_without_hint == 0
