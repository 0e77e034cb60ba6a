"""What a fleet gives to jobs and whom it works for, as a runner needs it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from runners.models import Fleet
from runners.querysets import fleets_of


@dataclass(frozen=True, slots=True)
class FleetFacts:
    """A fleet as its runners see it.

    ``products`` are the only ones that may use it, an empty set for none, and None for all. The
    defaults are those of a queue that no fleet names.
    """

    name: str = ""
    job_path: str = ""
    root_jobs: bool = False
    products: frozenset[UUID] | None = None


def _products_of(fleet: Fleet) -> frozenset[UUID] | None:
    if fleet.all_products:
        return None
    return frozenset(product.id for product in fleet.products.all())


def fleet_facts(queues: Collection[str]) -> dict[str, FleetFacts]:
    """Return the facts of these queues' fleets, by queue."""
    return {
        fleet.queue: FleetFacts(
            name=fleet.name,
            job_path=fleet.job_path,
            root_jobs=fleet.root_jobs,
            products=_products_of(fleet),
        )
        for fleet in fleets_of(queues)
    }
