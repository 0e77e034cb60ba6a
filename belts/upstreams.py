"""What other belts start belts of a product, by their downstreams."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast

from belts.models import Belt, Job
from products.models import Product


@dataclass(frozen=True, slots=True)
class Upstream:
    """A belt, or a job of it where ``job`` is not empty, whose downstreams start ``belts``."""

    belt: Belt
    job: str
    belts: tuple[str, ...]


def upstreams_of(product: Product) -> list[Upstream]:
    """Return the belts and jobs in use whose downstreams start belts of the product, by name."""
    belts = Belt.objects.filter(archived_at=None, product__archived_at=None)
    jobs = Job.objects.filter(belt__archived_at=None, belt__product__archived_at=None)
    found = [
        *(
            Upstream(belt, "", _started(belt.downstreams, product))
            for belt in _naming(belts, product).select_related("product")
        ),
        *(
            Upstream(job.belt, job.name, _started(job.downstreams, product))
            for job in _naming(jobs, product).select_related("belt__product")
        ),
    ]
    found.sort(key=lambda each: (each.belt.product.name, each.belt.name, each.job))
    return [each for each in found if each.belts]


def _naming(rows: QuerySet[Any], product: Product) -> QuerySet[Any]:
    """Return the rows that have the product's name in their downstreams, perhaps as a belt's."""
    texts: QuerySet[Any] = rows.annotate(text=Cast("downstreams", TextField()))
    naming: QuerySet[Any] = texts.filter(text__contains=f'"{product.name}"')
    return naming


def _started(downstreams: object, product: Product) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_names(downstreams, product)))


def _names(downstreams: object, product: Product) -> Iterator[str]:
    """Yield the belts of the product that are started; forms of the admin take any JSON."""
    for each in downstreams if isinstance(downstreams, list) else []:
        if not isinstance(each, dict) or each.get("downstream-product") != product.name:
            continue
        belts = each.get("belts")
        for name in belts if isinstance(belts, list) else [belts]:
            if isinstance(name, str):
                yield name
