"""Reading the values that a job consumes, at the moment in which it becomes ready."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models.functions import Coalesce

from belts.definitions import spec_of
from belts.spec.catalogue import NoCatalogue
from belts.spec.references import Reference, job_references
from belts.spec.resolve import LocalOutput, resolve_reference
from belts.spec.shapes import BeltFile, BeltSpec, JobSpec
from products.identifiers import uuid7
from runs.models import BeltRun, Consumption, JobRun, Output, Supplier
from runs.readiness import Supply, SupplyState
from runs.states import BELT_FINISHED, FINISHED, JobRunState

#: Linux takes no larger string in an environment; all values of a job together are bounded too.
VALUES_BYTES = 512 * 1024


class InputMissingError(Exception):
    """A value does not exist; the sentence is for the job's page."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A value with where it came from."""

    output_id: UUID | None
    value: str
    label: str
    is_tainted: bool


# --- Where suppliers stand ------------------------------------------------------------------------
def takes_values(job: JobSpec) -> bool:
    """Return whether a job may take values from other runs: without that it has no suppliers.

    It does not look closely, because it is asked for every waiting job.
    """
    texts = (*job.env.values(), job.pre_run, job.commands, job.post_run)
    return any(each.kind == "product" for each in job.inputs) or any("${" in text for text in texts)


def supplies_of(consumer_ids: Sequence[UUID]) -> dict[UUID, list[Supply]]:
    """Return how the suppliers of waiting job runs stand, by job run; one or two queries."""
    rows = Supplier.objects.filter(consumer_id__in=consumer_ids).select_related(
        "belt_run__belt__product"
    )
    suppliers = list(rows.order_by("id"))
    jobs = _jobs(suppliers)
    supplies: dict[UUID, list[Supply]] = {}
    for supplier in suppliers:
        supplies.setdefault(supplier.consumer_id, []).append(_supply_of(supplier, jobs))
    return supplies


class _Job(NamedTuple):
    """A job of a supplier, read after the supplier was."""

    state: JobRunState
    is_tainted: bool


def _supply_of(supplier: Supplier, jobs: Mapping[tuple[UUID, str], _Job]) -> Supply:
    run = supplier.belt_run
    if run is None and supplier.how != Supplier.How.NONE:
        # It was removed; a repeat has its values from the run that it repeats, if at all.
        return Supply(SupplyState.READY)
    if run is None:
        sentence = supplier.note or f"{supplier.product_name}.{supplier.belt_name} has no such run."
        return Supply(SupplyState.MISSING, sentence)
    job = jobs.get((run.id, supplier.job_name)) if supplier.job_name else None
    if run.state in BELT_FINISHED:
        return Supply(SupplyState.READY, is_tainted=run.tainted)
    if job is not None and job.state in FINISHED:
        return Supply(SupplyState.READY, is_tainted=job.is_tainted)
    return Supply(SupplyState.PENDING, f"Waits for {run}, which is still running.")


def _jobs(suppliers: Iterable[Supplier]) -> dict[tuple[UUID, str], _Job]:
    open_runs = [
        each.belt_run_id
        for each in suppliers
        if each.belt_run is not None and each.belt_run.state not in BELT_FINISHED and each.job_name
    ]
    if not open_runs:
        return {}
    rows = JobRun.objects.filter(belt_run_id__in=open_runs)
    return {
        (run_id, name): _Job(JobRunState(state), tainted)
        for run_id, name, state, tainted in rows.values_list(
            "belt_run_id", "name", "state", "belt_run__tainted"
        )
    }


# --- Values ---------------------------------------------------------------------------------------
def consume(job_run_id: UUID, job: JobSpec, *, run: BeltRun) -> bool:
    """Copy every value that the job refers to into its rows of lineage.

    Returns whether a value comes from a tainted run. Raises InputMissingError, with nothing stored,
    when a value does not exist.
    """
    references = job_references(job)
    if not references:
        return False
    file = spec_of(run.definition)
    belt = file.belt(run.belt.name)
    reader = _Reader(job_run_id, run, file, belt) if belt is not None else None
    if reader is None:
        raise InputMissingError(f"The definition of this run has no belt {run.belt.name}.")
    found = {variable: reader.value(each) for variable, each in references.items()}
    total = sum(len(each.value.encode()) for each in found.values())
    if total > VALUES_BYTES:
        raise InputMissingError(
            f"The values that this job takes have {total} bytes together; {VALUES_BYTES} fit."
        )
    Consumption.objects.bulk_create(
        Consumption(
            id=uuid7(),
            consumer_id=job_run_id,
            output_id=found[variable].output_id,
            reference=str(reference),
            variable=variable,
            supplier_label=found[variable].label[:350],
            value=found[variable].value,
        )
        for variable, reference in references.items()
    )
    return any(each.is_tainted for each in found.values())


class _Reader:
    """Finds the values of one job run's references in what was frozen."""

    def __init__(self, job_run_id: UUID, run: BeltRun, file: BeltFile, belt: BeltSpec) -> None:
        self._job_run_id = job_run_id
        self._run = run
        self._file = file
        self._belt = belt
        self._suppliers = list(
            Supplier.objects.filter(consumer_id=job_run_id)
            .exclude(job_name="")
            .select_related("belt_run__belt__product", "belt_run__definition")
        )

    def value(self, reference: Reference) -> _Found:
        """Return the value of a reference; raises InputMissingError."""
        own = resolve_reference(
            reference, file=self._file, belt=self._belt, catalogue=NoCatalogue()
        )
        if isinstance(own, LocalOutput):
            return self._of_job(self._run, own.job, reference)
        for supplier in self._suppliers:
            if self._is_meant(supplier, reference):
                return self._of_supplier(supplier, reference)
        raise InputMissingError(f"No run was chosen that supplies {reference.text}.")

    def _is_meant(self, supplier: Supplier, reference: Reference) -> bool:
        if not self._fits(supplier, reference.parts):
            return False
        if supplier.belt_run is None:
            return True
        belt = spec_of(supplier.belt_run.definition).belt(supplier.belt_name)
        job = belt.job(supplier.job_name) if belt is not None else None
        return job is None or job.output(reference.output) is not None

    def _fits(self, supplier: Supplier, parts: tuple[str, ...]) -> bool:
        if supplier.product_name != parts[0]:
            return False
        if len(parts) == 3:
            return (supplier.belt_name, supplier.job_name) == parts[1:]
        return len(parts) == 1 or parts[1] in (supplier.belt_name, supplier.job_name)

    def _of_supplier(self, supplier: Supplier, reference: Reference) -> _Found:
        if supplier.belt_run is not None:
            return self._of_job(supplier.belt_run, supplier.job_name, reference)
        kept = self._kept(reference)
        if kept is None:
            raise InputMissingError(
                f"The run of {supplier.product_name}.{supplier.belt_name} that supplies "
                f"{reference.text} is no longer kept."
            )
        return kept

    def _kept(self, reference: Reference) -> _Found | None:
        """Return the value as the latest earlier round received it: all have the same suppliers.

        Not every round did: one may have kept the job from the round before, or skipped it.
        """
        name = JobRun.objects.filter(id=self._job_run_id).values("name")[:1]
        rows = Consumption.objects.filter(
            consumer__belt_run__belt_id=self._run.belt_id,
            consumer__belt_run__number=self._run.number,
            consumer__name=name,
            reference=str(reference),
        )
        columns = ("output_id", "value", "supplier_label", "consumer__belt_run__tainted")
        row: Any = rows.order_by("-consumer__belt_run__round").values_list(*columns).first()
        return _Found(*row) if row else None

    def _of_job(self, run: BeltRun, job: str, reference: Reference) -> _Found:
        producer = JobRun.objects.filter(belt_run=run, name=job).annotate(
            source_id=Coalesce("reused_from_id", "id")
        )
        # The job has ended before this statement. It was marked before its values were copied, so a
        # mark that these values need is seen here.
        row: Any = producer.values("source_id", "state", "belt_run__tainted").first()
        state = row["state"] if row else "not part of it"
        output = Output.objects.filter(job_run_id=row["source_id"]) if row else None
        found = output.filter(name=reference.output).first() if output is not None else None
        if found is None:
            raise InputMissingError(
                f"{reference.text} has no value: job {job} of {run} is {state} and handed on no "
                f"{reference.output}."
            )
        return _Found(found.id, found.value, f"{run}: {job}", row["belt_run__tainted"])
