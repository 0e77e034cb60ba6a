"""The belt file as a whole: text or plain data in, shapes and problems out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from belts.spec.build import Builder
from belts.spec.catalogue import NoCatalogue
from belts.spec.foreign import foreign_problems
from belts.spec.graph import find_cycles
from belts.spec.keys import FILE
from belts.spec.limits import REFERENCES_PER_JOB
from belts.spec.load import load
from belts.spec.nodes import Node, Scalar, UnreadableDataError, node_of
from belts.spec.places import Place, located, places_of
from belts.spec.problems import Problem, in_order
from belts.spec.read import Reader
from belts.spec.read_words import NOTHING
from belts.spec.references import job_references
from belts.spec.resolve import LocalOutput, problems_within, resolve_reference
from belts.spec.shapes import BeltFile, BeltSpec, with_broken_triggers

_MISPLACED = {
    "single-quoted": (
        "reference.single-quoted",
        "{text} stands in single quotes, where the shell expands nothing.",
        "Close the quotes before it: '...'\"{text}\"'...'."
        " For the literal text write '$''{{...}}'.",
    ),
    "quoted-here-document": (
        "reference.quoted-here-document",
        "{text} stands in a here-document whose end word is quoted, so nothing is expanded.",
        "Remove the quotes from the end word. For the literal text write a backslash before the $.",
    ),
    "in-arithmetic": (
        "reference.in-arithmetic",
        "{text} stands in arithmetic, where the shell would run its value as an expression.",
        'Assign it first, and check that it is a number: n="{text}"',
    ),
    "not-in-shell": (
        "reference.not-in-shell",
        "{text} stands in a script that no shell reads.",
        'Write env: {{VALUE: "{text}"}} and read the variable VALUE.',
    ),
}

_EMPTY = Problem("value.empty", "error", "The file is empty.", "Begin with the line: product: NAME")


@dataclass(frozen=True, slots=True)
class ParseResult:
    """The result for a file: ``file`` is None if any of the problems is an error.

    ``draft`` is what could be read of it even so, for finding out what else is wrong with it;
    None where nothing could.
    """

    file: BeltFile | None
    problems: tuple[Problem, ...]
    draft: BeltFile | None = None

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Return the problems that make the file unusable."""
        return tuple(each for each in self.problems if each.is_error)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """Return the problems with which the file can be used."""
        return tuple(each for each in self.problems if not each.is_error)


def parse_belt_text(text: str | bytes) -> ParseResult:
    """Return what a belt file says, with every problem at once, in the order of the file.

    Never raises for any text. It can take long for a hostile one: ``parse_isolated`` is for those.
    """
    loaded = load(text)
    if loaded.root is None and not loaded.problems:
        return ParseResult(None, (_EMPTY,))
    if loaded.root is None:
        return ParseResult(None, in_order(loaded.problems))
    return _parse(loaded.root, loaded.lines, loaded.problems)


def parse_document(document: object) -> ParseResult:
    """Return the same for the plain data that such a file holds; problems have no lines.

    Text keeps every character, numbers and booleans count as what JSON writes for them.
    """
    try:
        root = node_of(document)
    except UnreadableDataError as error:
        return ParseResult(None, (Problem(error.code, "error", str(error)),))
    return _parse(root, [], [])


def _parse(root: Node, lines: list[str], problems: list[Problem]) -> ParseResult:
    if isinstance(root, Scalar) and root.is_null:
        return ParseResult(None, in_order([*problems, _EMPTY]))
    reader = Reader(lines)
    values = reader.read(FILE, root, "")
    if values is NOTHING:
        return ParseResult(None, in_order([*problems, *reader.problems]))
    builder = Builder(reader)
    file = with_broken_triggers(with_needs(builder.file(values)))
    found = [*problems, *reader.problems, *_script_problems(file), *_cycle_problems(file)]
    found += foreign_problems(file)
    found += problems_within(file)
    failed = any(each.is_error for each in found)
    return ParseResult(None if failed else file, in_order(found), file)


def with_needs(file: BeltFile) -> BeltFile:
    """Return the file with the ``needs`` of its jobs, from their inputs and references."""
    needed: dict[str, set[str]] = {place.path: set(_needs(place)) for place in places_of(file)}
    belts = []
    for index, belt in enumerate(file.belts):
        jobs = tuple(
            dataclasses.replace(job, needs=tuple(sorted(needed[f"belts[{index}].jobs[{number}]"])))
            for number, job in enumerate(belt.jobs)
        )
        belts.append(dataclasses.replace(belt, jobs=jobs))
    return dataclasses.replace(file, belts=tuple(belts))


def _needs(place: Place) -> Iterator[str]:
    for spec in place.job.inputs:
        if spec.kind == "job" and spec.job:
            yield spec.job
    for where in place.references():
        parts = where.reference.parts
        if len(parts) == 1 and place.belt.job(parts[0]):
            yield parts[0]
            continue
        found = resolve_reference(
            where.reference, file=place.file, belt=place.belt, catalogue=NoCatalogue()
        )
        if isinstance(found, LocalOutput):
            yield found.job


def _script_problems(file: BeltFile) -> Iterator[Problem]:
    for place in places_of(file):
        for key, occurrences in place.scripts():
            for each in occurrences:
                if each.placement in _MISPLACED:
                    code, message, hint = _MISPLACED[each.placement]
                    text = each.reference.text
                    problem = Problem(
                        code, "error", message.format(text=text), hint.format(text=text)
                    )
                    yield place.locate(problem, key, each.start)
        count = len(job_references(place.job))
        if count > REFERENCES_PER_JOB:
            message = f"The job has {count} references; the limit is {REFERENCES_PER_JOB}."
            yield located(Problem("value.too-many", "error", message), file, place.path)


def _cycle_problems(file: BeltFile) -> Iterator[Problem]:
    for index, belt in enumerate(file.belts):
        for cycle in find_cycles({job.name: job.needs for job in belt.jobs}):
            circle = " needs ".join((*cycle, cycle[0]))
            hint = "Remove one of these inputs or references."
            if len(cycle) == 1:
                hint = "A job cannot wait for itself. Use the variable of the shell instead."
            message = f"Jobs wait for one another in a circle: {circle}."
            problem = Problem("belt.cycle", "error", message, hint)
            yield located(problem, file, f"belts[{index}].jobs[{_number(belt, cycle[0])}]")


def _number(belt: BeltSpec, name: str) -> int:
    return next(number for number, job in enumerate(belt.jobs) if job.name == name)
