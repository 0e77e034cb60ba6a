"""Making the rows of belts, jobs and triggers equal to a definition.

Rows keep their ids where they can: a belt and a job by name, a trigger by what it says, else by
its kind and order. A belt that vanished is archived, because its runs stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import models
from django.db.models.functions import Now

from belts.models import Belt, Job, Trigger
from belts.spec.shapes import BeltFile, BeltSpec, JobSpec, TriggerSpec
from belts.timetable import next_time
from products.models import Product

#: Keys of the belt file by the field of ``Job`` that holds them.
JOB_KEYS = {
    "inputs": "inputs",
    "queue": "queue",
    "env": "env",
    "credentials": "credentials",
    "shell": "shell",
    "working_directory": "working-directory",
    "pre_run": "pre-run",
    "commands": "commands",
    "post_run": "post-run",
    "outputs": "outputs",
    "downstreams": "downstreams",
    "timeout": "timeout",
    "post_run_timeout": "post-run-timeout",
    "retry": "retry",
}


@dataclass
class Changes:
    """What became different, by name, such as ``belt build-gem``."""

    created: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.created or self.changed or self.removed)

    def __iadd__(self, more: Changes) -> Changes:
        self.created += more.created
        self.changed += more.changed
        self.removed += more.removed
        return self


def align_rows(product: Product, file: BeltFile) -> Changes:
    """Make the product's rows say what ``file`` says, in the transaction that is open."""
    changes = Changes()
    belts = _align_belts(product, file, changes)
    _align_jobs(product, file, belts, changes)
    _align_triggers(product, file, changes)
    return changes


# Belts and jobs


def _align_belts(product: Product, file: BeltFile, changes: Changes) -> dict[str, Belt]:
    present = {belt.name: belt for belt in Belt.objects.filter(product=product)}
    for position, spec in enumerate(file.belts):
        row = present.get(spec.name)
        label = f"belt {spec.name}"
        if row is None:
            row = Belt(product=product, name=spec.name)
            changes.created.append(label)
            present[spec.name] = row
        elif row.archived_at is not None:
            changes.created.append(f"{label} (again)")
        elif _differs(row, _belt_fields(spec)):
            changes.changed.append(label)
        _save(row, {**_belt_fields(spec), "position": position, "archived_at": None})
    kept = {spec.name for spec in file.belts}
    gone = [row for row in present.values() if row.name not in kept and row.archived_at is None]
    Belt.objects.filter(pk__in=[row.pk for row in gone]).update(archived_at=Now())
    changes.removed += [f"belt {row.name} (archived; its runs stay)" for row in gone]
    return present


def _belt_fields(spec: BeltSpec) -> dict[str, Any]:
    downstreams = [each.to_yaml_document() for each in spec.downstreams]
    return {"description": spec.description, "env": spec.env, "downstreams": downstreams}


def _align_jobs(product: Product, file: BeltFile, belts: dict[str, Belt], changes: Changes) -> None:
    jobs = Job.objects.filter(belt__product=product, belt__archived_at=None)
    present = {(job.belt_id, job.name): job for job in jobs}
    new: list[Job] = []
    for spec in file.belts:
        belt = belts[spec.name]
        for position, job_spec in enumerate(spec.jobs):
            wanted = _job_fields(job_spec, spec)
            row = present.pop((belt.pk, job_spec.name), None)
            label = f"job {spec.name}.{job_spec.name}"
            if row is None:
                new.append(Job(belt=belt, name=job_spec.name, position=position, **wanted))
                changes.created.append(label)
                continue
            if _differs(row, wanted):
                changes.changed.append(label)
            _save(row, {**wanted, "position": position})
    names = {belt.pk: belt.name for belt in belts.values()}
    kept = {spec.name for spec in file.belts}
    gone = [row for row in present.values() if names[row.belt_id] in kept]
    Job.objects.filter(pk__in=[row.pk for row in gone]).delete()
    changes.removed += [f"job {names[row.belt_id]}.{row.name}" for row in gone]
    Job.objects.bulk_create(new)


def _job_fields(spec: JobSpec, belt: BeltSpec) -> dict[str, Any]:
    """Return the values of a job's row; a key that the file need not say has its default."""
    document = spec.to_yaml_document(belt.env)
    blank = Job()
    return {
        name: document[key] if key in document else getattr(blank, name)
        for name, key in JOB_KEYS.items()
    }


# Triggers


def _align_triggers(product: Product, file: BeltFile, changes: Changes) -> None:
    now = Product.objects.filter(pk=product.pk).values_list(Now(), flat=True).get()
    left = list(Trigger.objects.filter(product=product).order_by("position", "id"))
    rows = dict(_matched(file.triggers, left))
    for index, spec in enumerate(file.triggers):
        row = rows.get(index)
        wanted = _trigger_fields(spec)
        if row is None:
            row = Trigger(product=product)
            changes.created.append(_trigger_label(spec))
        elif _differs(row, {"details": wanted["details"], "belts": wanted["belts"]}):
            changes.changed.append(_trigger_label(spec))
        if _timing(row.details) != _timing(wanted["details"]) or row.due_at is None:
            wanted["due_at"] = next_time(spec.cron, spec.timezone, after=now)
        _save(row, {**wanted, "position": index})
    Trigger.objects.filter(pk__in=[row.pk for row in left]).delete()
    changes.removed += [f"trigger {row.kind} of {', '.join(row.belts)}" for row in left]


def _matched(specs: Iterable[TriggerSpec], left: list[Trigger]) -> Iterator[tuple[int, Trigger]]:
    """Yield the row of each trigger by the trigger's index, taking it out of ``left``.

    Those that say the same come first, then those of one kind in their order.
    """
    waiting: list[tuple[int, TriggerSpec]] = []
    for index, spec in enumerate(specs):
        wanted = (spec.kind, spec.details(), list(spec.belts))
        row = next((each for each in left if _said(each) == wanted), None)
        if row is None:
            waiting.append((index, spec))
            continue
        left.remove(row)
        yield index, row
    for index, spec in waiting:
        row = next((each for each in left if each.kind == spec.kind), None)
        if row is not None:
            left.remove(row)
            yield index, row


def _said(row: Trigger) -> tuple[str, Any, Any]:
    return row.kind, row.details, row.belts


def _timing(details: Any) -> tuple[Any, Any]:
    if not isinstance(details, dict):
        return None, None
    return details.get("cron"), details.get("timezone") or "UTC"


def _trigger_fields(spec: TriggerSpec) -> dict[str, Any]:
    return {
        "kind": spec.kind,
        "details": spec.details(),
        "belts": list(spec.belts),
        "broken": spec.broken or "",
        "upstream_product": spec.upstream_product or "",
        "upstream_belt": spec.upstream_belt or "",
    }


def _trigger_label(spec: TriggerSpec) -> str:
    return f"trigger {spec.kind} of {', '.join(spec.belts)}"


# Rows


def _differs(row: models.Model, wanted: dict[str, Any]) -> bool:
    return any(getattr(row, name) != value for name, value in wanted.items())


def _save(row: models.Model, wanted: dict[str, Any]) -> None:
    """Write the fields that differ; a new row is written whole."""
    differing = [name for name, value in wanted.items() if getattr(row, name) != value]
    for name in differing:
        setattr(row, name, wanted[name])
    if row._state.adding:
        row.save(force_insert=True)
    elif differing:
        row.save(update_fields=differing)
