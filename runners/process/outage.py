"""The database being away: said once, and met with a new connection each time."""

from __future__ import annotations

import logging

from django.db import InterfaceError, OperationalError, connection

logger = logging.getLogger(__name__)

#: What a database raises that is away, restarts, or takes longer than it may.
DATABASE_AWAY = (OperationalError, InterfaceError)


class Outage:
    """Whether the database is away, as one process sees it."""

    def __init__(self) -> None:
        self._lasts = False

    def met(self, error: Exception) -> None:
        """Note that a statement failed; the next one uses a new connection."""
        if not self._lasts:
            reason = str(error).strip().partition("\n")[0]
            logger.warning("The database cannot be used, trying on: %s", reason)
        self._lasts = True
        connection.close()

    def over(self) -> None:
        """Note that a statement succeeded."""
        if self._lasts:
            logger.warning("The database can be used again.")
        self._lasts = False
