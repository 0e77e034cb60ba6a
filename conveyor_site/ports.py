"""The option type of ports for commands."""

from __future__ import annotations

import argparse

_LAST_PORT = 65535


def port_number(text: str) -> int:
    """Return the port. Raises ArgumentTypeError for any other text."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and int(text) <= _LAST_PORT):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port. Use 0 to {_LAST_PORT}.")
    return int(text)
