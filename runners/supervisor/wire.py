"""Messages between a slot and its supervisor: JSON over a SOCK_SEQPACKET socket.

Descriptors travel beside a message. A message too large for one packet travels as a
memory file, whose descriptor is the last one.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

# Below the smallest send buffer that Linux gives by default (208 KiB, half of it overhead).
PACKET_BYTES = 60_000
_MAX_DESCRIPTORS = 8
_IN_FILE = b"file"


def send(peer: socket.socket, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Send one message with descriptors; raise OSError when the peer is gone."""
    payload = json.dumps(message).encode()
    if len(payload) <= PACKET_BYTES:
        socket.send_fds(peer, [payload], list(descriptors))
        return
    memory = os.memfd_create("conveyor-message", os.MFD_CLOEXEC)
    try:
        _write_all(memory, payload)
        socket.send_fds(peer, [_IN_FILE], [*descriptors, memory])
    finally:
        os.close(memory)


def receive(peer: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Return the next message and its descriptors, or None when the peer is gone.

    Raises ValueError for a packet that is no message.
    """
    try:
        payload, descriptors, _flags, _address = socket.recv_fds(
            peer, PACKET_BYTES, _MAX_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
        )
    except ConnectionError:
        return None
    if not payload:
        return None
    if payload == _IN_FILE:
        payload = _read_memory(descriptors.pop())
    message = json.loads(payload)
    if isinstance(message, dict):
        return message, descriptors
    raise ValueError("a message is an object")


def _write_all(descriptor: int, payload: bytes) -> None:
    view = memoryview(payload)
    while view:
        view = view[os.write(descriptor, view) :]


def _read_memory(descriptor: int) -> bytes:
    with open(descriptor, "rb") as memory:
        memory.seek(0)
        return memory.read()
