"""Which repository a product that is being imported has."""

from __future__ import annotations

from belts.definitions import readable_spec
from belts.models import Definition
from belts.reading import ReadFile
from belts.spec.matching import declared_source, no_source, triggers_of_others
from belts.spec.names import quoted
from belts.spec.places import located
from belts.spec.problems import Problem
from belts.spec.shapes import BeltFile
from products.git.errors import SourceUrlError
from products.git.urls import check_url, same_repository
from products.models import Product, Source


def choose_repository(
    file: BeltFile, read: ReadFile, *, given: str = ""
) -> tuple[str | None, list[Problem]]:
    """Return the URL of the product's repository, None if it has none, and what to warn of.

    It is, first match: what the file names as ``source``; ``given`` by the operator; where the file
    was read from, now or before; the one that its triggers name. One in the file that may not be
    used is an error there, and one that merely came along is passed over with a warning. Raises
    SourceUrlError when the one ``given`` may not be used.
    """
    if file.source:
        problem = _refused(file, file.source)
        return (None, [problem]) if problem else (file.source, [])
    if chosen := given or read.url:
        check_url(chosen)
        return chosen, []
    warnings: list[Problem] = []
    for url in (read.origin, _from_before(file.product), _named_by_triggers(file)):
        if not url:
            continue
        try:
            check_url(url)
        except SourceUrlError as error:
            warnings.append(_unusable(url, error))
        else:
            return url, warnings
    return None, warnings or [no_source(file)]


def _from_before(product: str) -> str | None:
    """Return the source that the product has, unless it only followed from its last file."""
    source = Source.objects.filter(product__name=product).first()
    if source is None:
        return None
    last = readable_spec(Definition.objects.filter(current_of__name=product).first())
    said = declared_source(last, same_repository=same_repository) if last else None
    return None if said and same_repository(said, source.url) else source.url


def _named_by_triggers(file: BeltFile) -> str | None:
    return declared_source(file, same_repository=same_repository)


def _refused(file: BeltFile, source: str) -> Problem | None:
    try:
        check_url(source)
    except SourceUrlError as error:
        return located(Problem(error.code, "error", str(error)), file, "source")
    return None


def _unusable(url: str, error: SourceUrlError) -> Problem:
    return Problem(
        "product.no-source",
        "warning",
        f"The repository {quoted(url)} cannot be the product's: {error}",
        "Name another under source:, or with --source URL.",
        path="source",
    )


def not_pushed() -> Problem:
    """Return the warning for the file of a checkout that its repository does not have yet."""
    return Problem(
        "file.not-pushed",
        "warning",
        "The repository of this checkout does not have this file yet.",
        "Commit and push it: runs read the file of their commit.",
    )


def other_triggers(file: BeltFile, repository: str) -> list[Problem]:
    """Return the warnings for triggers that answer another repository, and so never fire."""
    return triggers_of_others(file, repository, same_repository=same_repository)


def other_repository(product: Product, file: BeltFile) -> list[Problem]:
    """Return the warning that a pushed file names another ``source`` than the product has, if so.

    A push does not move a product to another repository, where its credential would be sent.
    """
    source = Source.objects.filter(product=product).first()
    if file.source is None or source is None or same_repository(file.source, source.url):
        return []
    problem = Problem(
        "product.other-source",
        "warning",
        f"The file names the repository {quoted(file.source)}, and {product} stays with"
        f" {quoted(source.url)}.",
        "If the product is to move, import the file, or change its source in the admin.",
    )
    return [located(problem, file, "source")]


def source_warnings(product: Product, file: BeltFile) -> list[Problem]:
    """Return what to warn of in a file because of the source that its product has, or lacks."""
    source = Source.objects.filter(product=product).first()
    if source is None:
        return [no_source(file)]
    return [*other_repository(product, file), *other_triggers(file, source.url)]
