"""The jobs of a file with their paths, and where in the text a problem of one is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from belts.spec.problems import Problem
from belts.spec.references import PATTERN, Occurrence, Reference, find_references, scan_script
from belts.spec.shapes import BeltFile, BeltSpec, JobSpec

SCRIPT_KEYS = {"pre-run": "pre_run", "commands": "commands", "post-run": "post_run"}


@dataclass(frozen=True, slots=True)
class Where:
    """A reference of a job: the key that has it and the place within its text."""

    reference: Reference
    key: str
    offset: int


@dataclass(frozen=True, slots=True)
class Place:
    """A job where it stands in its file."""

    file: BeltFile
    belt: BeltSpec
    job: JobSpec
    path: str

    def scripts(self) -> Iterator[tuple[str, tuple[Occurrence, ...]]]:
        """Yield the key of each script with its references."""
        for key, field in SCRIPT_KEYS.items():
            yield key, scan_script(getattr(self.job, field), self.job.shell)

    def references(self) -> Iterator[Where]:
        """Yield the references that the job consumes: those in ``env`` and the live ones."""
        for name in sorted(self.job.env):
            for reference in find_references(self.job.env[name]):
                yield Where(reference, f"env.{name}", 0)
        for key, occurrences in self.scripts():
            for each in occurrences:
                if each.placement == "live":
                    yield Where(each.reference, key, each.start)

    def locate(self, problem: Problem, key: str, offset: int | None = None) -> Problem:
        """Return the problem with the path of ``key``, and the line of ``offset`` in a script."""
        path = f"{self.path}.{key}"
        found = located(problem, self.file, path)
        mark = self.file.marks.get(path)
        field = SCRIPT_KEYS.get(key)
        if mark is None or field is None or offset is None:
            return found
        before = getattr(self.job, field)[:offset]
        row, column = before.count("\n"), len(before) - (before.rfind("\n") + 1)
        line, column = mark.at(row, column)
        return dataclasses.replace(found, line=line, column=column)


def located(problem: Problem, file: BeltFile, path: str) -> Problem:
    """Return the problem with its path, and line and column where the text is known.

    A path that the text does not have is that of what it is part of: a job's variable may stand
    in its belt's ``env``.
    """
    mark, known = file.marks.get(path), path
    while mark is None and known:
        known = known[: max(known.rfind("."), known.rfind("["), 0)]
        mark = file.marks.get(known)
    line, column = (mark.line, mark.column) if mark else (None, None)
    return dataclasses.replace(problem, path=path, line=line, column=column)


def places_of(file: BeltFile) -> Iterator[Place]:
    """Yield every job of the file."""
    for index, belt in enumerate(file.belts):
        for number, job in enumerate(belt.jobs):
            yield Place(file, belt, job, f"belts[{index}].jobs[{number}]")


def has_reference(text: str) -> bool:
    """Return whether a text has anything of the form of a reference."""
    return PATTERN.search(text) is not None
