"""Checking belt files on a machine without a database: what a file itself and the others say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from belts.errors import RepeatedProductError
from belts.importing import ImportOptions, ImportOutcome
from belts.reading import read_source
from belts.repository import other_triggers
from belts.spec.isolated import parse_isolated
from belts.spec.matching import declared_source, no_source
from belts.spec.places import located
from belts.spec.problems import Problem
from belts.spec.resolve import ABOUT_UNKNOWN_PRODUCTS, check
from belts.spec.shapes import BeltFile
from products.errors import ConveyorError
from products.git.errors import SourceUrlError
from products.git.urls import parse_url, same_repository


@dataclass(frozen=True)
class _Given:
    """The products of the files that are checked; no other is known."""

    files: dict[str, BeltFile]

    def product(self, name: str) -> BeltFile | None:
        """Return the file of the product ``name``, None when it is not among them."""
        return self.files.get(name)


def check_without_database(labels: Sequence[str], options: ImportOptions) -> list[ImportOutcome]:
    """Return what an import would refuse or warn of, as far as the given files show it.

    Other products, credentials and who manages the product are not looked at.
    """
    outcomes = [_read(label, options) for label in labels]
    first: dict[str, str] = {}
    for outcome in outcomes:
        if outcome.file is None:
            continue
        name = outcome.file.product
        if name in first:
            outcome.error = RepeatedProductError(name, first[name])
        first.setdefault(name, outcome.label)
    given = _Given({each.draft.product: each.draft for each in outcomes if each.draft is not None})
    for outcome in outcomes:
        if outcome.error is None:
            _check(outcome, given, options)
    return outcomes


def _read(label: str, options: ImportOptions) -> ImportOutcome:
    outcome = ImportOutcome(label, strict=options.strict)
    try:
        outcome.read = read_source(label, ref=options.ref, use_stored=False)
    except ConveyorError as error:
        outcome.error = error
        return outcome
    parsed = parse_isolated(outcome.read.data)
    outcome.file, outcome.draft = parsed.file, parsed.draft
    outcome.parsed_problems = parsed.problems
    return outcome


def _check(outcome: ImportOutcome, given: _Given, options: ImportOptions) -> None:
    if outcome.draft is None:
        return
    found = check(outcome.draft, given)
    outcome.checked_problems = [each for each in found if each.code not in ABOUT_UNKNOWN_PRODUCTS]
    try:
        outcome.checked_problems += _about_repository(outcome, outcome.draft, options.source)
    except ConveyorError as error:
        outcome.error = error


def _about_repository(outcome: ImportOutcome, file: BeltFile, given: str) -> list[Problem]:
    """Return what is wrong with the repository; raise SourceUrlError for the one ``given``."""
    if file.source:
        try:
            parse_url(file.source)
        except SourceUrlError as error:
            return [located(Problem(error.code, "error", str(error)), file, "source")]
    elif given:
        parse_url(given)
    read = outcome.read
    named = declared_source(file, same_repository=same_repository)
    origins = (read.url, read.origin) if read is not None else ()
    repository = next(filter(None, (file.source, given, *origins, named)), None)
    return [no_source(file)] if repository is None else other_triggers(file, repository)
