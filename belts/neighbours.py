"""Warnings about what changes without the file: other products, and the product's source."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from belts.commit_files import last_file
from belts.definitions import DatabaseCatalogue, spec_of
from belts.errors import UnknownDefinitionError
from belts.models import CommitFile, Definition
from belts.repository import source_warnings
from belts.spec.isolated import parse_isolated
from belts.spec.problems import Problem, in_order, to_json
from belts.spec.resolve import check
from products.models import Product

logger = logging.getLogger(__name__)

# What ``check`` says of other products; the codes of a product's own warnings are others.
_ABOUT_OTHERS = ("input.", "reference.", "downstream.", "trigger.")
_ABOUT_ITSELF = frozenset({"trigger.unknown-belt", "trigger.other-repository"})
# What ``source_warnings`` says of the product's source.
_ABOUT_SOURCE = frozenset({"product.no-source", "product.other-source", "trigger.other-repository"})


def renew_warnings() -> int:
    """Bring the warnings of present definitions up to date; return of how many files.

    Files may be imported in any order, and the first name products that come later. Only files
    that have warnings are looked at, so the work does not grow with the number of products.
    """
    rows = CommitFile.objects.filter(definition__current_of__isnull=False).exclude(problems=[])
    return sum(_renew(row, row.definition) for row in rows.select_related("definition__product"))


def _renew(row: CommitFile, definition: Definition | None) -> bool:
    known = DatabaseCatalogue()
    before = [each for each in row.problems if _is_about_others(each)]
    if definition is None or not before:
        return False
    try:
        now = check(spec_of(definition), known)
    except UnknownDefinitionError as error:
        # Its warnings stay as they are: a newer version looks after them.
        logger.warning("The warnings of %s are not renewed: %s", definition, error)
        return False
    if _without_places(to_json(now)) == _without_places(before):
        return False
    file = parse_isolated(row.text.encode()).file  # its lines are in no definition
    own = [each for each in row.problems if not _is_about_others(each)]
    return _store(row, own, check(file, known) if file is not None else now)


def renew_source_warnings(product: Product) -> bool:
    """Bring the warnings about the product's source up to date; return whether they changed.

    For when it has got another source, or lost it: the file stays as it is, and what was said of
    it may be true no longer.
    """
    row = last_file(product)
    if row is None:
        return False
    file = parse_isolated(row.text.encode()).draft
    if file is None or file.product not in ("", product.name):
        return False
    others = [each for each in row.problems if each.get("code") not in _ABOUT_SOURCE]
    now = source_warnings(product, file)
    if _without_places(others + to_json(now)) == _without_places(row.problems):
        return False
    return _store(row, others, now)


def _store(
    row: CommitFile, unchanged: Iterable[Mapping[str, Any]], found: Iterable[Problem]
) -> bool:
    problems = in_order([*map(Problem.from_document, unchanged), *found])
    return CommitFile.objects.filter(pk=row.pk).update(problems=to_json(problems, row.text)) > 0


def _is_about_others(problem: Mapping[str, Any]) -> bool:
    code = str(problem.get("code", ""))
    return code.startswith(_ABOUT_OTHERS) and code not in _ABOUT_ITSELF


def _without_places(problems: Iterable[Mapping[str, Any]]) -> set[tuple[str, ...]]:
    keys = ("code", "path", "message")
    return {tuple(str(each.get(key, "")) for key in keys) for each in problems}
