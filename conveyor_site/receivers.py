"""The receiver of the one signal: makes haste with what a commit has written to the outbox.

It runs in whatever process has committed, runners included, and does no work of its own: hints go
to runners and everything else to the orchestrators' queue. What the queue does not take stays in
the outbox for the reconciler.
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

#: So many hints of a commit are published without looking for who would hear them.
_FEW = 4

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
    _tell_runners([each for each in written if each[1] == OutboxRow.Kind.HINT])
    publish_hints([Errand(row_id) for row_id, kind, _ in written if kind != OutboxRow.Kind.HINT])


def _tell_runners(written: list[Written]) -> None:
    """Publish hints and forget those that were taken, and those that no slot is there to hear."""
    hints = [hint_of(payload) for _, _, payload in written]
    heard = _heard(hints)
    taken = publish_hints([hints[n] for n in heard])
    waiting = set(heard[taken:])
    if taken:
        _delete([row_id for n, (row_id, _, _) in enumerate(written) if n not in waiting])


def _heard(hints: Sequence[Hint]) -> list[int]:
    """Return which of the hints are worth publishing.

    A slot that a hint has woken goes on with other job runs until there are none, and one that is
    busy does so anyway. Of many hints for a queue there need be no more than it has slots.
    """
    if len(hints) <= _FEW:
        return list(range(len(hints)))
    slots = _slots()
    told: Counter[str] = Counter()
    heard = []
    for n, hint in enumerate(hints):
        told[hint.queue] += 1
        if told[hint.queue] <= max(_FEW, slots[hint.queue]):
            heard.append(n)
    return heard


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
    """Return the hint that a row's payload tells of. Raises KeyError or ValueError for others."""
    return Hint(UUID(payload["job_run"]), str(payload["queue"]))


def _delete(row_ids: list[UUID]) -> None:
    if not row_ids:
        return
    try:
        OutboxRow.objects.filter(id__in=row_ids).delete()
    except DatabaseError as error:
        # The reconciler publishes them once more, which does no harm.
        logger.warning("Published hints stay in the outbox and are published again: %s", error)
