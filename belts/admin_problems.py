"""What the admin's forms make of a problem: which field it stands at, and in which words."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping

from belts.alignment import JOB_KEYS
from belts.spec.problems import Problem

JOB_FIELDS = {key: field for field, key in JOB_KEYS.items()}

_FIRST_KEY = re.compile(r"[\w-]*")
_MISSING = re.compile(r'the key "([\w-]+)"')


def rest_of(problem: Problem, row: str) -> str | None:
    """Return where in the row the problem is; None if it is not about the row.

    ``row`` is what ``belts.rows`` calls it in paths, such as ``job build.compile``; empty for the
    product itself.
    """
    if not row:
        return problem.path.strip()
    if not f"{problem.path} ".startswith(f"{row} "):
        return None
    return problem.path[len(row) :].strip()


def field_of(
    problem: Problem, rest: str, fields: Container[str], named: Mapping[str, str]
) -> str | None:
    """Return the field among ``fields`` at which the problem stands; None for the whole form.

    ``named`` are fields by the file's keys, where they differ.
    """
    missing = _MISSING.search(problem.message) if problem.code == "key.missing" else None
    first = _FIRST_KEY.match(rest)
    key = missing[1] if missing and not rest else first[0] if first else ""
    field = named.get(key, key)
    return field if field in fields else None


def at_field(problem: Problem, rest: str) -> str:
    """Return the sentence for the field itself, with the place inside where that is deeper."""
    place = "" if _FIRST_KEY.fullmatch(rest) else f"{rest}: "
    message = _MISSING.sub(r"\1", problem.message) if not rest else problem.message
    return f"{place}{message} {problem.hint}".strip()


def sentence(problem: Problem) -> str:
    """Return a problem as one line of text, with its row and its way out."""
    where = f"{problem.path.strip()}: " if problem.path else ""
    return f"{where}{problem.message} {problem.hint}".strip()


def needs_a_job(problem: Problem) -> bool:
    """Return whether it is that a belt has no job."""
    return problem.code == "value.empty" and problem.path.endswith(" jobs")
