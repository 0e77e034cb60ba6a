"""The newest runs of belts and products, for lists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from belts.models import Belt
from products.models import Product
from runs.models import BeltRun

SHOWN_RUNS = 8


@dataclass(frozen=True, slots=True)
class ShownBelt:
    """A belt with its newest runs, newest first."""

    belt: Belt
    recent: tuple[BeltRun, ...]


def belts_with_recent_runs(belts: QuerySet[Belt], *, most: int = SHOWN_RUNS) -> list[ShownBelt]:
    """Return the belts with their newest runs.

    Two queries, whatever the number of runs: each newest is found by the index of its belt.
    """
    newest = BeltRun.objects.filter(belt=OuterRef("pk")).newest_first().values("pk")
    columns = {f"recent_{index}": Subquery(newest[index : index + 1]) for index in range(most)}
    rows = {row: [getattr(row, name) for name in columns] for row in belts.annotate(**columns)}
    wanted = {pk for ids in rows.values() for pk in ids if pk is not None}
    runs = BeltRun.objects.with_names().in_bulk(wanted)
    return [
        ShownBelt(belt, tuple(runs[pk] for pk in ids if pk in runs)) for belt, ids in rows.items()
    ]


def last_runs(products: Iterable[Product]) -> dict[UUID, BeltRun]:
    """Return the newest belt run of each product by the product's id: two queries.

    A product without runs is left out.
    """
    belts = Belt.objects.filter(product__in=[product.pk for product in products])
    newest = [run for each in belts_with_recent_runs(belts, most=1) for run in each.recent]
    return {run.belt.product_id: run for run in sorted(newest, key=lambda run: run.id)}
