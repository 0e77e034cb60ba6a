"""The receiver of the signal: publishes messages for the outbox rows that a commit has written.

It runs in the process that committed, also in runners. Hints go to the queues of runners, and
messages for all other rows go to the queue of orchestrators. If the queue does not accept a
message, the row stays in the outbox for the reconciler.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import DatabaseError

from products.models import OutboxRow
from runners.hints import Hint, publish_hints
from runners.querysets import claiming_slots
from runners.settings_block import SYSTEM_QUEUE

logger = logging.getLogger(__name__)

#: Up to this number, hints are published without counting the slots of runners.
_FEW = 4

#: The name of the task that delivers a row; see ``conveyor_site.tasks``.
DELIVER = "conveyor_site.tasks.deliver"

Written = tuple[UUID, str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class DeliveryMessage:
    """The message that asks orchestrators to deliver an outbox row."""

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
        """Return the queue of orchestrators."""
        return SYSTEM_QUEUE

    @property
    def keeps_result(self) -> bool:
        """Return True: operators can see the result."""
        return True


def publish_written(rows: Iterable[Written], **_signal: Any) -> None:
    """Publish messages for the rows; never raises, because the commit has already happened."""
    written = list(rows)
    _publish_hints([each for each in written if each[1] == OutboxRow.Kind.HINT])
    publish_hints(
        [DeliveryMessage(row_id) for row_id, kind, _ in written if kind != OutboxRow.Kind.HINT]
    )


def _publish_hints(written: list[Written]) -> None:
    """Publish hints; delete the rows of those that were published or are not needed."""
    hints = [hint_of(payload) for _, _, payload in written]
    needed = _needed(hints)
    taken = publish_hints([hints[n] for n in needed])
    waiting = set(needed[taken:])
    if taken:
        _delete([row_id for n, (row_id, _, _) in enumerate(written) if n not in waiting])


def _needed(hints: Sequence[Hint]) -> list[int]:
    """Return the numbers of the hints that must be published.

    A slot claims further job runs of its queues until none is left. So a queue needs at most one
    hint for each of its slots.
    """
    if len(hints) <= _FEW:
        return list(range(len(hints)))
    slots = _slots()
    counts: Counter[str] = Counter()
    needed = []
    for n, hint in enumerate(hints):
        counts[hint.queue] += 1
        if counts[hint.queue] <= max(_FEW, slots[hint.queue]):
            needed.append(n)
    return needed


def _slots() -> Counter[str]:
    try:
        return claiming_slots()
    except DatabaseError as error:
        logger.warning(
            "The slots of runners were not counted. At most %d hints are published for each queue; "
            "runners poll for the other jobs: %s",
            _FEW,
            error,
        )
        return Counter()


def hint_of(payload: Mapping[str, Any]) -> Hint:
    """Return the hint of a row's payload. Raises KeyError or ValueError for other payloads."""
    return Hint(UUID(payload["job_run"]), str(payload["queue"]))


def _delete(row_ids: list[UUID]) -> None:
    if not row_ids:
        return
    try:
        OutboxRow.objects.filter(id__in=row_ids).delete()
    except DatabaseError as error:
        # The reconciler publishes them again, which does no harm.
        logger.warning("Published hints stay in the outbox and are published again: %s", error)
