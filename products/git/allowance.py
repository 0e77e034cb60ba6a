"""What reading a repository may take: time in all, and room on the disk."""

from __future__ import annotations

import time

#: A whole history may take so long, unless somebody says otherwise.
HISTORY_S = 540.0
#: A mirror may have so much room, unless the site says otherwise.
ROOM_BYTES = 8 * 1024**3


class Allowance:
    """So many seconds from when it is made, and so many bytes.

    Whatever is done with one allowance shares its time, however many steps it takes; what a slow or
    hostile server sends cannot last longer or grow larger. ``way_out`` is a sentence that says how
    a server that is only slow is given more time.
    """

    def __init__(
        self, seconds: float = HISTORY_S, room_bytes: int = ROOM_BYTES, *, way_out: str = ""
    ) -> None:
        self.seconds = seconds
        self.room_bytes = room_bytes
        self.way_out = way_out
        self._until = time.monotonic() + seconds

    @property
    def left_s(self) -> float:
        """Return the seconds that are left, negative when the time is over."""
        return self._until - time.monotonic()
