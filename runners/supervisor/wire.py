"""Messages between a slot and its supervisor: JSON over a SOCK_SEQPACKET socket.

Descriptors travel beside a message. A message too large for one packet travels as a
memory file, whose descriptor is the last one.
"""

from __future__ import annotations

import array
import json
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

# Below the smallest send buffer that Linux gives by default (208 KiB, half of it overhead).
PACKET_BYTES = 60_000
_DESCRIPTOR_BYTES = array.array("i").itemsize
_DESCRIPTOR_ROOM = socket.CMSG_SPACE(8 * _DESCRIPTOR_BYTES)
_IN_FILE = b"file"


def send(peer: socket.socket, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Send one message with descriptors; raise OSError when the peer is gone."""
    payload = json.dumps(message).encode()
    if len(payload) <= PACKET_BYTES:
        socket.send_fds(peer, [payload], list(descriptors))
        return
    memory = os.memfd_create("conveyor-message", os.MFD_CLOEXEC)
    try:
        write_all(memory, payload)
        socket.send_fds(peer, [_IN_FILE], [*descriptors, memory])
    finally:
        os.close(memory)


def receive(peer: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Return the next message and its descriptors, or None when the peer is gone.

    Raises ValueError for a packet that is no message.
    """
    # Not socket.recv_fds: it drops its flags in Python 3.11.
    try:
        payload, extra, _flags, _address = peer.recvmsg(
            PACKET_BYTES, _DESCRIPTOR_ROOM, socket.MSG_CMSG_CLOEXEC
        )
    except ConnectionError:
        return None
    if not payload:
        return None
    descriptors = _descriptors_in(extra)
    if payload == _IN_FILE:
        payload = _read_memory(descriptors.pop())
    message = json.loads(payload.decode())
    if isinstance(message, dict):
        return message, descriptors
    raise ValueError("a message is an object")


def _descriptors_in(extra: Sequence[tuple[int, int, bytes]]) -> list[int]:
    found = array.array("i")
    for level, kind, data in extra:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(data[: len(data) - len(data) % _DESCRIPTOR_BYTES])
    return list(found)


def write_all(descriptor: int, payload: bytes) -> None:
    """Write all of it, however many calls that takes; raise OSError as the disk does."""
    view = memoryview(payload)
    while view:
        view = view[os.write(descriptor, view) :]


def _read_memory(descriptor: int) -> bytes:
    with open(descriptor, "rb") as memory:
        memory.seek(0)
        return memory.read()
