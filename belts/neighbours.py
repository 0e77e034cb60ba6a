"""Warnings about other products, which change when those are imported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from belts.definitions import DatabaseCatalogue, spec_of
from belts.models import CommitFile, Definition
from belts.spec.isolated import parse_isolated
from belts.spec.problems import in_order, to_json
from belts.spec.resolve import check

# What ``check`` says of other products; the codes of a product's own warnings are others.
_ABOUT_OTHERS = ("input.", "reference.", "downstream.", "trigger.")
_ABOUT_ITSELF = frozenset({"trigger.unknown-belt", "trigger.other-repository"})


def renew_warnings() -> int:
    """Bring the warnings of present definitions up to date; return of how many files.

    Files may be imported in any order, and the first name products that come later. Only files
    that have warnings are looked at, so the work does not grow with the number of products.
    """
    rows = CommitFile.objects.filter(definition__current_of__isnull=False).exclude(problems=[])
    return sum(_renew(row, row.definition) for row in rows.select_related("definition"))


def _renew(row: CommitFile, definition: Definition | None) -> bool:
    known = DatabaseCatalogue()
    before = [each for each in row.problems if _is_about_others(each)]
    if definition is None or not before:
        return False
    now = to_json(check(spec_of(definition), known), row.text)
    if _without_places(now) == _without_places(before):
        return False
    file = parse_isolated(row.text.encode()).file  # its lines are in no definition
    own = [each for each in row.problems if not _is_about_others(each)]
    found = to_json(in_order(check(file, known)), row.text) if file is not None else now
    CommitFile.objects.filter(pk=row.pk).update(problems=own + found)
    return True


def _is_about_others(problem: Mapping[str, Any]) -> bool:
    code = str(problem["code"])
    return code.startswith(_ABOUT_OTHERS) and code not in _ABOUT_ITSELF


def _without_places(problems: Iterable[Mapping[str, Any]]) -> set[tuple[str, str, str]]:
    return {(each["code"], each["path"], each["message"]) for each in problems}
