"""Writing rows to the outbox, for work that must follow the commit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import transaction

from products.identifiers import uuid7
from products.models import OutboxRow
from products.signals import outbox_written
from products.statements import columns_of, insert_rows, later


@dataclass(frozen=True)
class Consequence:
    """One piece of work: its kind, its unique key, and its payload.

    ``delay_s`` is in seconds from now on the database's clock. ``product_name`` names the product
    whose repository may have to be read for it, if any.
    """

    kind: OutboxRow.Kind
    key: str
    payload: dict[str, Any] = field(default_factory=dict)
    delay_s: float = 0
    product_name: str = ""


def write_outbox(consequences: Iterable[Consequence]) -> None:
    """Insert a row for each consequence, in the transaction that is open.

    A consequence that is in the outbox already stays one row. After the commit the signal
    ``outbox_written`` is sent with the rows that are due at once.
    """
    wanted = list(consequences)
    if not wanted:
        return
    rows = [
        OutboxRow(
            id=uuid7(),
            kind=one.kind,
            key=one.key,
            payload=one.payload,
            product_name=one.product_name,
            due_at=later(_wait_s(one)),
        )
        for one in wanted
    ]
    insert_rows(OutboxRow, [columns_of(row) for row in rows], ignore_conflicts=True)
    at_once = [
        (row.id, str(row.kind), row.payload)
        for row, one in zip(rows, wanted, strict=True)
        if one.delay_s <= 0
    ]
    if at_once:
        transaction.on_commit(lambda: outbox_written.send(sender=OutboxRow, rows=at_once))


def _wait_s(one: Consequence) -> float:
    """Return the seconds after which a row is due for an orchestrator.

    The process that commits a hint also publishes it. An orchestrator publishes only hints that are
    still in the outbox later.
    """
    if one.kind == OutboxRow.Kind.HINT and one.delay_s <= 0:
        return settings.CONVEYOR_TIMES["sweep"]
    return one.delay_s
