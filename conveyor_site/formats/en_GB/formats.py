"""How instants are written where Django writes them, as in the admin: with the zone."""

from __future__ import annotations

DATETIME_FORMAT = "j M Y H:i:s T"
SHORT_DATETIME_FORMAT = "Y-m-d H:i T"
TIME_FORMAT = "H:i:s T"
