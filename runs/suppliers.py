"""The choice of the runs that supply outputs to a job, made once when the run is created."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet

from belts.definitions import DatabaseCatalogue, spec_of
from belts.spec.catalogue import Catalogue
from belts.spec.problems import Problem
from belts.spec.references import job_references
from belts.spec.resolve import (
    ProductOutput,
    candidates,
    governing_input,
    input_problem,
    resolve_reference,
)
from belts.spec.shapes import BeltFile, BeltSpec, InputSpec, JobSpec, TriggerSpec
from runs.models import BeltRun, Supplier
from runs.states import BeltRunState


@dataclass(frozen=True, slots=True)
class Supply:
    """A supplier as it is frozen; an empty ``job`` means the whole belt run."""

    product: str
    belt: str
    job: str
    run: BeltRun | None
    how: Supplier.How
    note: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what makes it the same input."""
        return self.product, self.belt, self.job


@dataclass(slots=True)
class ChainCatalogue:
    """The products as the runs of a chain knew them, and as they are now for all others."""

    chain: Sequence[BeltRun]
    _others: Catalogue = field(default_factory=DatabaseCatalogue)

    def product(self, name: str) -> BeltFile | None:
        """Return the file of the product, that of the nearest run in the chain first."""
        for run in self.chain:
            if run.belt.product.name == name:
                return spec_of(run.definition)
        return self._others.product(name)


@dataclass(slots=True)
class SupplierChoice:
    """Chooses suppliers for the jobs of a new run of ``belt`` in ``file``.

    ``chain`` are the runs that led to it, nearest first.
    """

    file: BeltFile
    belt: BeltSpec
    chain: Sequence[BeltRun]
    catalogue: Catalogue = field(init=False)

    def __post_init__(self) -> None:
        """Know the products of the chain."""
        self.catalogue = ChainCatalogue(self.chain)

    def of(self, job: JobSpec) -> list[Supply] | list[Problem]:
        """Return the suppliers of a job, each once, or the problems of its names."""
        wanted, problems = self._wanted(job)
        if problems:
            return problems
        supplies = {}
        for output in wanted:
            entry = governing_input(job, output)
            supply = self._supply(output, entry)
            supplies[supply.key] = supply
        referenced = {(each.product, each.belt) for each in supplies.values()}
        for entry in job.inputs:
            for supply in self._of_input(entry, referenced):
                supplies.setdefault(supply.key, supply)
        return list(supplies.values())

    def _wanted(self, job: JobSpec) -> tuple[list[ProductOutput], list[Problem]]:
        outputs, problems = [], []
        for reference in job_references(job).values():
            found = resolve_reference(
                reference, file=self.file, belt=self.belt, catalogue=self.catalogue
            )
            if isinstance(found, Problem):
                problems.append(found)
            elif isinstance(found, ProductOutput):
                outputs.append(found)
        for entry in job.inputs:
            problem = input_problem(
                entry,
                file=self.file,
                belt=self.belt,
                catalogue=self.catalogue,
                severity="error",
            )
            if problem is not None:
                problems.append(problem)
        return outputs, list(dict.fromkeys(problems))

    def _of_input(self, entry: InputSpec, referenced: set[tuple[str, str]]) -> Iterable[Supply]:
        """Return what an input asks for that no reference has asked for already."""
        if entry.kind != "product" or entry.product is None:
            return []
        product = self._file_of(entry.product)
        if product is None:
            return []
        named = tuple(part for part in (entry.belt, entry.job) if part is not None)
        places = [(each.belt.name, each.job.name) for each in candidates(product, named)]
        belts = list(dict.fromkeys(belt for belt, _ in places))
        if any((entry.product, belt) in referenced for belt in belts):
            return []
        job = places[0][1] if len(places) == 1 and entry.job is not None else ""
        found = [self._supply(ProductOutput(entry.product, belt, job, ""), entry) for belt in belts]
        with_run = [each for each in found if each.run is not None]
        in_chain = [each for each in with_run if each.how == Supplier.How.CHAIN]
        return in_chain or with_run or found[:1]

    def _file_of(self, name: str) -> BeltFile | None:
        return self.file if name == self.file.product else self.catalogue.product(name)

    def _supply(self, output: ProductOutput, entry: InputSpec | None) -> Supply:
        build, branch = (entry.build, entry.branch) if entry is not None else (None, None)
        if build is None and branch is None:
            build = self._build_of_trigger(output)
        if build is None and branch is None:
            for run in self.chain:
                if (run.belt.product.name, run.belt.name) == (output.product, output.belt):
                    return self._made(output, run, Supplier.How.CHAIN)
        latest, wanted = _latest(output, build, branch)
        if latest is not None:
            return self._made(output, latest, Supplier.How.LATEST)
        note = f"{output.product}.{output.belt} has no {wanted}, which this job takes values from."
        return self._made(output, None, Supplier.How.NONE, note)

    def _made(
        self, output: ProductOutput, run: BeltRun | None, how: Supplier.How, note: str = ""
    ) -> Supply:
        return Supply(output.product, output.belt, output.job, run, how, note)

    def _build_of_trigger(self, output: ProductOutput) -> str | int | None:
        """Return the ``build`` of the trigger by which the nearest run started this one."""
        if not self.chain:
            return None
        nearest = self.chain[0]
        if (nearest.belt.product.name, nearest.belt.name) != (output.product, output.belt):
            return None
        builds = (each.build for each in self.file.triggers if self._started_by(each, output))
        return next((build for build in builds if build is not None), None)

    def _started_by(self, trigger: TriggerSpec, output: ProductOutput) -> bool:
        return (
            trigger.kind == "upstream-build"
            and (trigger.upstream_product, trigger.upstream_belt) == (output.product, output.belt)
            and self.belt.name in trigger.belts
        )


_FAILURES = (BeltRunState.FAILED, BeltRunState.ERRORED)


def _latest(
    output: ProductOutput, build: str | int | None, branch: str | None
) -> tuple[BeltRun | None, str]:
    """Return the newest run that fits, None for none, and what was looked for in words."""
    runs: QuerySet[Any] = BeltRun.objects.filter(
        belt__product__name=output.product, belt__name=output.belt
    ).select_related("belt__product", "definition")
    if isinstance(build, int):
        return runs.filter(number=build).order_by("-round").first(), f"run {build}"
    if branch is None:
        runs, where = runs.filter(on_default_branch=True), ""
    else:
        runs, where = runs.filter(branch=branch), f" on branch {branch}"
    runs = runs.filter(tainted=False)
    if build == "last":
        wanted = "run"
    elif build == "last_failure":
        runs, wanted = runs.filter(state__in=_FAILURES), "failed run"
    else:
        runs, wanted = runs.filter(state=BeltRunState.SUCCEEDED), "successful run"
    return runs.order_by("-number", "-round").first(), f"{wanted}{where}"
