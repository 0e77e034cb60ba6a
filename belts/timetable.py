"""When a schedule comes true next."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError


def next_time(cron: str | None, timezone: str | None, *, after: datetime) -> datetime | None:
    """Return the first instant of the schedule after ``after``, in UTC; None when there is none.

    ``cron`` has five fields, read in the time zone of that name (UTC when None).
    """
    if not cron:
        return None
    try:
        begin = after.astimezone(ZoneInfo(timezone or "UTC"))
        found: datetime = next(CronSim(cron, begin))
    except (CronSimError, StopIteration, KeyError, ValueError, OverflowError, OSError):
        return None  # a schedule that its check accepted and that no longer comes true
    return found.astimezone(UTC)
