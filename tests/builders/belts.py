"""Belts, triggers and definitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from belts.models import Belt, CommitFile, Definition, Job, Trigger
from belts.spec.shapes import BeltFile, BeltSpec, JobSpec, digest
from products.models import Product
from tests.builders.names import named
from tests.builders.products import a_product


def a_belt(
    name: str | None = None,
    *,
    product: Product | None = None,
    jobs: Sequence[str] = ("compile",),
    **fields: Any,
) -> Belt:
    """Return a belt whose jobs run ``true``, one after the other."""
    belt = Belt.objects.create(product=product or a_product(), name=named(name, "belt"), **fields)
    for position, job in enumerate(jobs):
        before = [jobs[position - 1]] if position else []
        Job.objects.create(belt=belt, name=job, position=position, inputs=before, commands="true")
    return belt


def a_trigger(product: Product, belts: Sequence[str] = (), **fields: Any) -> Trigger:
    """Return a trigger of the product, by hand unless told otherwise."""
    given = {"kind": Trigger.Kind.MANUAL, **fields}
    return Trigger.objects.create(product=product, belts=list(belts), **given)


def a_definition(
    product: Product, belts: Mapping[str, Sequence[str]] | None = None, *, current: bool = False
) -> Definition:
    """Return the definition with these belts and their jobs by name (one belt when none given).

    The same belts give the same definition, as the database's constraint asks.
    """
    named = belts if belts is not None else {"belt": ("compile",)}
    file = BeltFile(
        product=product.name,
        belts=tuple(
            BeltSpec(name, jobs=tuple(JobSpec(job, commands="true") for job in jobs))
            for name, jobs in named.items()
        ),
    )
    definition, _ = Definition.objects.get_or_create(
        product=product, digest=digest(file), defaults={"document": file.to_document()}
    )
    if current:
        Definition.objects.filter(current_of=product).update(current_of=None)
        definition.current_of = product
        definition.save()
    return definition


def a_commit_file(product: Product, **fields: Any) -> CommitFile:
    """Return what the belt file was at one commit."""
    return CommitFile.objects.create(product=product, **{"commit": uuid4().hex, **fields})
