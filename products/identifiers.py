"""UUIDv7 keys: they sort by time of creation and keep indexes local.

Layout: https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-7 (48 bits of milliseconds,
version, 12 bits of sub-millisecond fraction, variant, 62 random bits).
"""

from __future__ import annotations

import os
import time
import uuid

_VARIANT = 0b10 << 62


def uuid7() -> uuid.UUID:
    """Return a new UUIDv7; two made by one process a microsecond apart sort by time."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = (rest << 12) // 1_000_000
    random_bits = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
    high = (milliseconds & ((1 << 48) - 1)) << 16 | 0x7000 | fraction
    return uuid.UUID(int=high << 64 | _VARIANT | random_bits)
