"""``${{ ... }}``, which other systems replace: an error for a shell, a warning in plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from belts.spec.hints import for_expression
from belts.spec.names import quoted
from belts.spec.places import SCRIPT_KEYS, Place, located, places_of
from belts.spec.problems import Problem
from belts.spec.references import FOREIGN, foreign_expressions
from belts.spec.shapes import BeltFile


def foreign_problems(file: BeltFile) -> Iterator[Problem]:
    """Yield a problem for each such expression of the file."""
    for index, belt in enumerate(file.belts):
        for name, text in belt.env.items():
            for match in FOREIGN.finditer(text):
                path = f"belts[{index}].env.{name}"
                yield located(_problem(match, "warning"), file, path)
    for place in places_of(file):
        yield from _in_shell(place)
        yield from _in_texts(place)


def _in_shell(place: Place) -> Iterator[Problem]:
    job = place.job
    for key, field in SCRIPT_KEYS.items():
        for match in foreign_expressions(getattr(job, field), job.shell):
            yield place.locate(_problem(match, "error"), key, match.start())
    for number, output in enumerate(job.outputs):
        for match in foreign_expressions(output.value or "", job.shell):
            yield place.locate(_problem(match, "error"), f"outputs[{number}]")


def _in_texts(place: Place) -> Iterator[Problem]:
    job, inherited = place.job, place.belt.env
    texts = {f"env.{name}": job.env[name] for name in job.env if name not in inherited}
    changed = (name for name in inherited if job.env.get(name) != inherited[name])
    texts |= {f"env.{name}": job.env.get(name, "") for name in changed}
    texts["working-directory"] = job.working_directory or ""
    for key, text in texts.items():
        for match in FOREIGN.finditer(text):
            yield place.locate(_problem(match, "warning"), key)


def _problem(match: re.Match[str], severity: str) -> Problem:
    reason = "The shell fails there" if severity == "error" else "It stays as it is"
    message = f"Conveyor does not replace {quoted(match.group())}. {reason}."
    return Problem("reference.double-braces", severity, message, for_expression(match["inside"]))
