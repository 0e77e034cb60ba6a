"""Which output a reference means, and which belts an input means.

Pure: other products' files come from a catalogue. What is wrong with a product's own names is
always an error; what is wrong with another product's has the severity that the caller chooses:
a warning while a file is imported (the other product may come or change), an error when a run is
created. In what could be read of a broken file, a name is not wrong where a part that could not be
read may be what it means.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from belts.spec.catalogue import Catalogue, NoCatalogue
from belts.spec.keys import NOT_RECEIVED
from belts.spec.limits import PROBLEMS
from belts.spec.loops import loop_problems
from belts.spec.names import did_you_mean, quoted
from belts.spec.places import Place, located, places_of
from belts.spec.problems import Problem
from belts.spec.references import Reference
from belts.spec.shapes import BeltFile, BeltSpec, DownstreamSpec, InputSpec, JobSpec, TriggerSpec
from belts.spec.unresolved import (
    ambiguous,
    ambiguous_input,
    several,
    undeclared,
    unknown_input,
    unknown_input_place,
    unknown_place,
    unknown_product,
)

_UNSURE = "unsure"
# Problems that can vanish when another product is imported.
ABOUT_UNKNOWN_PRODUCTS = frozenset(
    {
        "input.unknown-product",
        "reference.unknown-product",
        "downstream.unknown-product",
        "trigger.unknown-product",
    }
)


@dataclass(frozen=True, slots=True)
class LocalOutput:
    """The output of a job of the same belt run."""

    job: str
    output: str


@dataclass(frozen=True, slots=True)
class ProductOutput:
    """The output of a job in a run of some belt of some product."""

    product: str
    belt: str
    job: str
    output: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A job with its belt."""

    belt: BeltSpec
    job: JobSpec

    @property
    def name(self) -> str:
        """Return ``belt.job``."""
        return f"{self.belt.name}.{self.job.name}"


def resolve_reference(
    reference: Reference,
    *,
    file: BeltFile,
    belt: BeltSpec,
    catalogue: Catalogue,
    severity: str = "error",
) -> LocalOutput | ProductOutput | Problem:
    """Return the output that ``reference`` means in ``belt`` of ``file``, or why there is none.

    ``severity`` is that of problems which concern another product.
    """
    name = reference.parts[0]
    job = belt.job(name) if len(reference.parts) == 1 else None
    product = file if name == file.product else catalogue.product(name)
    if job is not None and product is not None and product is not file:
        return ambiguous(reference, file, belt, "error" if file.product else _UNSURE)
    if job is not None:
        return _of_job(reference, job, file=file, belt=belt)
    if product is None:
        unsure = _may_be_own(file, belt)
        return unknown_product(reference, file, belt, _UNSURE if unsure else severity)
    own = product is file
    found = _of_product(reference, product, severity="error" if own else severity)
    if own and isinstance(found, ProductOutput) and found.belt == belt.name:
        return LocalOutput(found.job, found.output)
    return found


def _of_job(
    reference: Reference, job: JobSpec, *, file: BeltFile, belt: BeltSpec
) -> LocalOutput | Problem:
    """Resolve a job of the belt; a product of the same name as its job must mean the same."""
    if reference.parts[0] == file.product:
        others = [each for each in candidates(file, ()) if each.job.output(reference.output)]
        if any(each.name != f"{belt.name}.{job.name}" for each in others):
            return ambiguous(reference, file, belt)
    if job.output(reference.output):
        return LocalOutput(job.name, reference.output)
    severity = _UNSURE if file.lacks_outputs(belt, job) else "error"
    return undeclared(reference, [job], severity, f"the job {job.name}")


def _may_be_own(file: BeltFile, belt: BeltSpec) -> bool:
    """Return whether an unknown name may be the product's, or that of a job of the belt."""
    return not file.product or file.lacks_jobs(belt)


def _lacks(product: BeltFile, named: tuple[str, ...]) -> bool:
    """Return whether a job which the names behind the product mean may be missing."""
    belt = product.belt(named[0]) if named else None
    if belt is not None:
        return product.lacks_jobs(belt)
    anywhere = len(named) < 2 and any(product.lacks_jobs(each) for each in product.belts)
    return product.lacks_belts() or anywhere


def _of_product(
    reference: Reference, product: BeltFile, *, severity: str
) -> ProductOutput | Problem:
    named = reference.parts[1:]
    found = candidates(product, named)
    unsure = _lacks(product, named)
    if not found:
        return unknown_place(reference, product, _UNSURE if unsure else severity)
    declaring = [each for each in found if each.job.output(reference.output)]
    if not declaring:
        unsure |= any(product.lacks_outputs(each.belt, each.job) for each in found)
        severity = _UNSURE if unsure else severity
        where = ".".join(reference.parts)
        return undeclared(reference, [each.job for each in found], severity, where)
    if len(declaring) > 1:
        return several(reference, product, [each.name for each in declaring], severity)
    return ProductOutput(
        product.product, declaring[0].belt.name, declaring[0].job.name, reference.output
    )


def candidates(product: BeltFile, named: tuple[str, ...]) -> list[Candidate]:
    """Return the jobs that the names behind a product mean.

    None: all; one: those of the belt of that name and those of that name; two: belt and job.
    """
    jobs = [Candidate(belt, job) for belt in product.belts for job in belt.jobs]
    if len(named) == 1:
        return [each for each in jobs if named[0] in (each.belt.name, each.job.name)]
    if len(named) == 2:
        return [each for each in jobs if named == (each.belt.name, each.job.name)]
    return jobs


def governing_input(job: JobSpec, output: ProductOutput) -> InputSpec | None:
    """Return the entry of the job's ``inputs`` that says which run supplies ``output``.

    The most exact one; None when no entry covers it.
    """
    wanted = (output.product, output.belt, output.job)
    covering = [
        each
        for each in job.inputs
        if each.kind == "product"
        and all(
            named is None or named == name
            for named, name in zip((each.product, each.belt, each.job), wanted, strict=True)
        )
    ]
    return max(covering, key=lambda each: len(each.name.split(".")), default=None)


def input_problem(
    spec: InputSpec, *, file: BeltFile, belt: BeltSpec, catalogue: Catalogue, severity: str
) -> Problem | None:
    """Return why an input cannot be had, None when it can.

    ``severity`` is that of problems which concern another product.
    """
    name = spec.product
    if spec.kind == "job":
        short = spec.product is None and spec.job is not None and spec.job != file.product
        clash = short and catalogue.product(str(spec.job)) is not None
        severity = "error" if file.product else _UNSURE
        return ambiguous_input(spec, file, belt, severity) if clash else None
    if spec.kind != "product" or name is None:
        return None
    own = name == file.product
    product = file if own else catalogue.product(name)
    if product is None:
        return unknown_input(spec, file, belt, _UNSURE if _may_be_own(file, belt) else severity)
    named = tuple(each for each in (spec.belt, spec.job) if each)
    severity = "error" if own else severity
    return unknown_input_place(spec, product, _UNSURE if _lacks(product, named) else severity)


def check(file: BeltFile, catalogue: Catalogue) -> list[Problem]:
    """Return what is wrong between the file and other products, in the order of the file.

    What is wrong within the file, ``parse_belt_text`` has said already. There are no more problems
    than a file may have.
    """
    within = set(problems_within(file))
    found = (each for each in _problems(file, catalogue) if each not in within)
    return list(islice((each for each in found if each.severity != _UNSURE), PROBLEMS))


def problems_within(file: BeltFile) -> list[Problem]:
    """Return what is wrong with names of the file's own product."""
    found = _problems(file, NoCatalogue())
    return [
        each
        for each in found
        if each.code not in ABOUT_UNKNOWN_PRODUCTS and each.severity != _UNSURE
    ]


def _problems(file: BeltFile, catalogue: Catalogue) -> Iterator[Problem]:
    for index, trigger in enumerate(file.triggers):
        yield from _trigger_problems(trigger, f"triggers[{index}]", file, catalogue)
    for place in places_of(file):
        yield from _job_problems(place, file, catalogue)
    yield from loop_problems(file, catalogue)
    for index, belt in enumerate(file.belts):
        for number, downstream in enumerate(belt.downstreams):
            path = f"belts[{index}].downstreams[{number}]"
            yield from _downstream_problems(downstream, path, file, catalogue)


def _job_problems(place: Place, file: BeltFile, catalogue: Catalogue) -> Iterator[Problem]:
    belt = place.belt
    for index, spec in enumerate(place.job.inputs):
        problem = input_problem(spec, file=file, belt=belt, catalogue=catalogue, severity="warning")
        if problem is not None:
            yield place.locate(problem, f"inputs[{index}]")
    for where in place.references():
        found = resolve_reference(
            where.reference, file=file, belt=belt, catalogue=catalogue, severity="warning"
        )
        if isinstance(found, Problem):
            yield place.locate(found, where.key, where.offset)
    for index, downstream in enumerate(place.job.downstreams):
        path = f"{place.path}.downstreams[{index}]"
        yield from _downstream_problems(downstream, path, file, catalogue)


def _downstream_problems(
    downstream: DownstreamSpec, path: str, file: BeltFile, catalogue: Catalogue
) -> Iterator[Problem]:
    name = downstream.product
    if not name:
        return
    product = file if name == file.product else catalogue.product(name)
    if product is None:
        message = f"The downstream product {quoted(name)} is not known here yet."
        hint = "It starts nothing until that product is imported."
        severity = "warning" if file.product else _UNSURE
        yield located(
            Problem("downstream.unknown-product", severity, message, hint),
            file,
            f"{path}.downstream-product",
        )
        return
    known = [belt.name for belt in product.belts]
    severity = "error" if product is file else "warning"
    severity = _UNSURE if product.lacks_belts() else severity
    for index, belt in enumerate(downstream.belts):
        if belt not in known:
            message = f"The downstream product {name} has no belt {quoted(belt)}."
            hint = did_you_mean(belt, known, what=f"belts of {name}")
            problem = Problem("downstream.unknown-belt", severity, message, hint)
            yield located(problem, file, f"{path}.belts[{index}]")


def _never_fires(trigger: TriggerSpec, path: str, file: BeltFile) -> Problem:
    missing = next(kind for kind in NOT_RECEIVED if kind in trigger.types)
    message = f"Conveyor does not receive {missing} events yet."
    message += (
        " This trigger fires for its other types only."
        if len(trigger.types) > 1
        else " This trigger never fires."
    )
    hint = "Use type: push. It fires for each branch of the repository."
    return located(Problem("trigger.never-fires", "warning", message, hint), file, f"{path}.type")


def _trigger_problems(
    trigger: TriggerSpec, path: str, file: BeltFile, catalogue: Catalogue
) -> Iterator[Problem]:
    known = [belt.name for belt in file.belts]
    for index, belt in enumerate(trigger.belts):
        if belt not in known:
            yield _broken(file, belt, f"{path}.belts[{index}]")
    if set(NOT_RECEIVED) & set(trigger.types):
        yield _never_fires(trigger, path, file)
    name, upstream_belt = trigger.upstream_product, trigger.upstream_belt
    if name is None or upstream_belt is None:
        return
    product = file if name == file.product else catalogue.product(name)
    if product is None:
        message = f"The upstream product {quoted(name)} is not known here yet."
        hint = "The trigger waits until that product is imported."
        severity = "warning" if file.product else _UNSURE
        problem = Problem("trigger.unknown-product", severity, message, hint)
        yield located(problem, file, f"{path}.upstream-product")
    elif product.belt(upstream_belt) is None and product is file:
        yield _broken(file, upstream_belt, f"{path}.upstream-belt")
    elif product.belt(upstream_belt) is None:
        message = f"The upstream product {name} has no belt {quoted(upstream_belt)}."
        belts = [belt.name for belt in product.belts]
        hint = did_you_mean(upstream_belt, belts, what=f"belts of {name}")
        severity = _UNSURE if product.lacks_belts() else "warning"
        problem = Problem("trigger.unknown-upstream-belt", severity, message, hint)
        yield located(problem, file, f"{path}.upstream-belt")


def _broken(file: BeltFile, belt: str, path: str) -> Problem:
    known = [each.name for each in file.belts]
    message = (
        f"{file.product or 'The product'} has no belt {quoted(belt)}; this trigger never fires."
    )
    hint = did_you_mean(belt, known, what=f"belts of {file.product or 'the product'}")
    severity = _UNSURE if file.lacks_belts() else "warning"
    return located(Problem("trigger.unknown-belt", severity, message, hint), file, path)
