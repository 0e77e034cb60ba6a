"""The sentences about names that lead nowhere, or to several places."""

from __future__ import annotations

from collections.abc import Iterable

from belts.spec.names import did_you_mean, listed, nearest, quoted
from belts.spec.problems import Problem
from belts.spec.references import Reference
from belts.spec.shapes import BeltFile, BeltSpec, InputSpec, JobSpec


def unknown_input(spec: InputSpec, file: BeltFile, belt: BeltSpec, severity: str) -> Problem:
    """Return that an input names neither a job nor a known product."""
    name = str(spec.product)
    jobs = [job.name for job in belt.jobs]
    near = nearest(name, [*jobs, "source", file.product])
    hint = f"Did you mean {quoted(near)}? " if near else ""
    return Problem(
        "input.unknown-product",
        severity,
        f"{quoted(name)} is neither a job of {_this(belt)} nor a product that is known here yet.",
        hint + f"If it is a product, import its belt file; jobs of this belt: {listed(jobs)}.",
    )


def _this(belt: BeltSpec) -> str:
    return f"the belt {belt.name}" if belt.name else "this belt"


def unknown_input_place(spec: InputSpec, product: BeltFile, severity: str) -> Problem | None:
    """Return why the belt or job of an input does not exist, None when both do."""
    name = product.product
    if spec.belt is None:
        return None
    belt = product.belt(spec.belt)
    if belt is None:
        holders = [each.name for each in product.belts if each.job(spec.belt)]
        hint = did_you_mean(
            spec.belt, [each.name for each in product.belts], what=f"belts of {name}"
        )
        if holders:
            hint = f"A job has that name: write {name}.{holders[0]}.{spec.belt}."
        message = f"The product {name} has no belt {quoted(spec.belt)}."
        return Problem("input.unknown-belt", severity, message, hint)
    if spec.job is None or belt.job(spec.job):
        return None
    jobs = [job.name for job in belt.jobs]
    return Problem(
        "input.unknown-job",
        severity,
        f"The belt {name}.{belt.name} has no job {quoted(spec.job)}.",
        did_you_mean(spec.job, jobs, what=f"jobs of {name}.{belt.name}"),
    )


def ambiguous_input(
    spec: InputSpec, file: BeltFile, belt: BeltSpec, severity: str = "error"
) -> Problem:
    """Return that an input names a job and a product."""
    return Problem(
        "input.ambiguous",
        severity,
        f"{quoted(spec.name)} is a job of this belt and also a product.",
        f"Write {file.product}.{belt.name}.{spec.name} for the job, or {spec.name}.BELT for the"
        " product.",
    )


def ambiguous(
    reference: Reference, file: BeltFile, belt: BeltSpec, severity: str = "error"
) -> Problem:
    """Return that a reference begins with a name of a job and a product."""
    name, output = reference.parts[0], reference.output
    return Problem(
        "reference.ambiguous",
        severity,
        f"In {reference.text} the name {quoted(name)} is a job of this belt and also a product.",
        f"Write ${{{file.product}.{belt.name}.{name}.{output}}} for the job, or"
        f" ${{{name}.BELT.JOB.{output}}} for the product.",
    )


def unknown_product(reference: Reference, file: BeltFile, belt: BeltSpec, severity: str) -> Problem:
    """Return that a reference begins with neither a job nor a known product."""
    name = reference.parts[0]
    jobs = [job.name for job in belt.jobs]
    if len(reference.parts) > 1 and name in jobs:
        hint = f"A job of this belt is written ${{{name}.{reference.output}}}."
    else:
        near = nearest(name, [*jobs, file.product])
        hint = f"Did you mean {quoted(near)}? " if near else ""
        hint += "If it is a product, import its belt file; for the shell write \\${...}."
    return Problem(
        "reference.unknown-product",
        severity,
        f"In {reference.text} the name {quoted(name)} is neither a job of {_this(belt)}"
        " nor a product that is known here yet.",
        hint,
    )


def unknown_place(reference: Reference, product: BeltFile, severity: str) -> Problem:
    """Return that a reference names a belt or job that the product lacks."""
    named = reference.parts[1:]
    name = product.product
    belt = product.belt(named[0]) if named else None
    if belt is not None:
        jobs = [job.name for job in belt.jobs]
        return Problem(
            "reference.unknown-job",
            severity,
            f"In {reference.text} the belt {name}.{belt.name} has no job {quoted(named[-1])}.",
            did_you_mean(named[-1], jobs, what=f"jobs of {name}.{belt.name}"),
        )
    if not named:
        message = f"In {reference.text} the product {name} has no jobs."
        return Problem("reference.unknown-belt", severity, message, "It has nothing to hand on.")
    known = [each.name for each in product.belts]
    if len(named) == 1:
        known += [job.name for each in product.belts for job in each.jobs]
    return Problem(
        "reference.unknown-belt",
        severity,
        f"In {reference.text} the product {name} has no belt"
        + (" or job" if len(named) == 1 else "")
        + f" {quoted(named[0])}.",
        did_you_mean(named[0], known, what=f"belts and jobs of {name}"),
    )


def undeclared(reference: Reference, jobs: Iterable[JobSpec], severity: str, where: str) -> Problem:
    """Return that none of the jobs declares the output; ``where`` names them."""
    names = {output.name for job in jobs for output in job.outputs}
    return Problem(
        "reference.undeclared-output",
        severity,
        f"In {reference.text} the output {quoted(reference.output)} is not declared by {where}.",
        did_you_mean(reference.output, names, what=f"outputs of {where}"),
    )


def several(
    reference: Reference, product: BeltFile, found: Iterable[str], severity: str
) -> Problem:
    """Return that a reference means several jobs; ``found`` has them as ``belt.job``."""
    forms = [f"${{{product.product}.{name}.{reference.output}}}" for name in found]
    return Problem(
        "reference.several",
        severity,
        f"{reference.text} can mean {len(forms)} outputs.",
        "Write one of " + ", ".join(forms[:6]) + ("." if len(forms) <= 6 else ", ..."),
    )
