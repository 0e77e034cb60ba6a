"""The receiver of the one signal: makes haste with what a commit has written to the outbox.

It runs in whatever process has committed, runners included, and does no work of its own: hints go
to runners and everything else to the orchestrators' queue. What the queue does not take stays in
the outbox for the reconciler.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import DatabaseError

from products.models import OutboxRow
from runners.hints import Hint, publish_hints
from runners.settings_block import SYSTEM_QUEUE

logger = logging.getLogger(__name__)

#: The name of the task that delivers a row; see ``conveyor_site.tasks``.
DELIVER = "conveyor_site.tasks.deliver"

Written = tuple[UUID, str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Errand:
    """An outbox row for orchestrators to deliver."""

    row_id: UUID

    @property
    def task(self) -> str:
        """Return the name of the task."""
        return DELIVER

    @property
    def argument(self) -> str:
        """Return the id of the row."""
        return str(self.row_id)

    @property
    def queue(self) -> str:
        """Return the queue of housekeeping."""
        return SYSTEM_QUEUE

    @property
    def keeps_result(self) -> bool:
        """Return True: operators see what came of it."""
        return True


def make_haste(rows: Iterable[Written], **_signal: Any) -> None:
    """Publish what was written; never raises, for the commit that caused it has happened."""
    written = list(rows)
    hints = [each for each in written if each[1] == OutboxRow.Kind.HINT]
    taken = publish_hints([hint_of(payload) for _, _, payload in hints])
    _delete([row_id for row_id, _, _ in hints[:taken]])
    publish_hints([Errand(row_id) for row_id, kind, _ in written if kind != OutboxRow.Kind.HINT])


def hint_of(payload: Mapping[str, Any]) -> Hint:
    """Return the hint that a row's payload tells of. Raises KeyError or ValueError for others."""
    return Hint(UUID(payload["job_run"]), str(payload["queue"]))


def _delete(row_ids: list[UUID]) -> None:
    if not row_ids:
        return
    try:
        OutboxRow.objects.filter(id__in=row_ids).delete()
    except DatabaseError as error:
        # The reconciler publishes them once more, which does no harm.
        logger.warning("Hints that were published stay in the outbox for now: %s", error)
