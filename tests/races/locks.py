"""Who waits for whom in the database."""

from __future__ import annotations

from django.db import connection

from tests.waiting import until


def until_somebody_waits() -> None:
    """Wait until another connection waits for a lock of this one; SQLite has no such view."""
    if connection.vendor != "postgresql":
        return
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"

    def somebody() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(waiting)
            return bool(cursor.fetchone()[0])

    until(somebody, "somebody waits for a row of this transaction")
