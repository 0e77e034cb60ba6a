"""Messages between slot and supervisor, with descriptors, of any size."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from runners.supervisor import wire
from runners.supervisor.mounts import Mount
from runners.supervisor.stage import Stage


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.mark.parametrize("size", [0, wire.PACKET_BYTES, 2_000_000])
def test_messages_of_any_size_arrive_with_their_descriptors(
    pair: tuple[socket.socket, socket.socket], size: int
) -> None:
    message = {"run": {"text": "é" * (size // 6), "list": [1, None]}}
    with open(os.devnull, "rb") as file:  # noqa: PTH123 - os.devnull is a string
        wire.send(pair[0], message, [file.fileno()])
    received = wire.receive(pair[1])
    assert received is not None
    assert received[0] == message
    assert [os.get_inheritable(each) for each in received[1]] == [False]
    for each in received[1]:
        os.close(each)


def test_a_gone_peer_is_told(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[0].close()
    assert wire.receive(pair[1]) is None


def test_what_is_no_message_is_refused(pair: tuple[socket.socket, socket.socket]) -> None:
    for packet in (b"[]", b"no json"):
        pair[0].send(packet)
        with pytest.raises(ValueError, match=r"object|Expecting"):
            wire.receive(pair[1])


def test_a_stage_survives_the_wire(pair: tuple[socket.socket, socket.socket]) -> None:
    mounts = (Mount("read-only", "/a", "/a"), Mount("proc", "/proc"))
    stage = Stage(
        ("/bin/sh", "-c", "x"), {"A": "\udce4"}, "/", 1.5, 2.0, mounts=mounts, groups=(5,)
    )
    wire.send(pair[0], {"stage": stage.to_wire()})
    received = wire.receive(pair[1])
    assert received is not None
    assert Stage.from_wire(received[0]["stage"]) == stage
    with pytest.raises(TypeError):
        Stage.from_wire({"unknown": 1})
