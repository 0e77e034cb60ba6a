"""Importing belt files: by an operator, several at once, or by a commit that was seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from belts.alignment import Changes
from belts.commit_files import own_problems, store_commit_file
from belts.credentials import UNKNOWN_CREDENTIAL, unknown_credentials
from belts.definitions import DatabaseCatalogue, publish, store_definition
from belts.errors import AdminManagedError, ImportSourceError, RepeatedProductError
from belts.models import CommitFile, Definition
from belts.neighbours import renew_source_warnings, renew_warnings
from belts.ownership import take_over
from belts.reading import ReadFile, read_source
from belts.repository import choose_repository, not_pushed, other_triggers, source_warnings
from belts.spec.isolated import parse_isolated
from belts.spec.names import quoted
from belts.spec.problems import Problem, in_order
from belts.spec.resolve import check
from belts.spec.shapes import BeltFile
from products.catalogue import restore_product
from products.credentials import credential_named
from products.errors import ConveyorError
from products.git.errors import (
    CommitMissingError,
    CommitRefusedError,
    FileMissingError,
    FileTooLargeError,
    RepositoryTooLargeError,
    ShallowRepositoryError,
)
from products.git.files import read_belt_file
from products.git.urls import same_host
from products.models import Product, Source
from products.sources import give_credential, note_imported, set_source


@dataclass(frozen=True)
class ImportOptions:
    """How to import: see ``manage.py import_conveyor_yml --help``."""

    ref: str = ""
    source: str = ""
    credential: str = ""
    check: bool = False
    strict: bool = False
    take_over: bool = False


@dataclass
class ImportOutcome:
    """The result for one of the sources of an import.

    ``error`` is why it was refused as a whole, ``problems`` is what is wrong in the file, and
    ``draft`` what could be read of it even so; ``changes`` is set when it was imported, or with
    ``check`` would have been.
    """

    label: str
    strict: bool = False
    read: ReadFile | None = None
    file: BeltFile | None = None
    draft: BeltFile | None = None
    parsed_problems: tuple[Problem, ...] = ()
    checked_problems: list[Problem] = field(default_factory=list)
    repository: str | None = None
    changes: Changes | None = None
    error: ConveyorError | None = None

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return all that is wrong in the file, in its order."""
        return in_order([*self.parsed_problems, *self.checked_problems])

    @property
    def failed(self) -> bool:
        """Whether it is not imported."""
        wrong = any(each.is_error or self.strict for each in self.problems)
        return wrong or self.error is not None or self.file is None


class _Together:
    """The products of one import as they are going to be, before those that are known."""

    def __init__(self, outcomes: Sequence[ImportOutcome]) -> None:
        self.files = {each.draft.product: each.draft for each in outcomes if each.draft is not None}
        self.known = DatabaseCatalogue()

    def product(self, name: str) -> BeltFile | None:
        """Return the file of the product ``name``, None when there is none."""
        return self.files.get(name) or self.known.product(name)


def import_sources(labels: Sequence[str], options: ImportOptions) -> list[ImportOutcome]:
    """Import files, checkouts and git URLs; return the result for each, in the given order.

    Every source is read before any is checked, so that those that name one another may come in
    any order. Each is stored in a transaction of its own, or not at all; with ``options.check``
    none is, and the changes are those that would have been.
    """
    outcomes = [_read(label, options) for label in labels]
    _refuse_repeated(outcomes)
    good = [outcome for outcome in outcomes if not outcome.failed]
    _check_drafts(outcomes, options)
    while good:
        others = _Together(good)
        for outcome in good:
            _check(outcome, others, options)
        passed = [outcome for outcome in good if not outcome.failed]
        if len(passed) == len(good):
            break
        good = passed  # what these name may have been in one that is refused
    for outcome in good:
        _store(outcome, options)
    if good and not options.check:
        renew_warnings()
    return outcomes


def _read(label: str, options: ImportOptions) -> ImportOutcome:
    outcome = ImportOutcome(label, strict=options.strict)
    try:
        outcome.read = read_source(label, ref=options.ref, credential=options.credential)
    except ConveyorError as error:
        outcome.error = error
        return outcome
    parsed = parse_isolated(outcome.read.data)
    outcome.file, outcome.draft = parsed.file, parsed.draft
    outcome.parsed_problems = parsed.problems
    return outcome


def _refuse_repeated(outcomes: Sequence[ImportOutcome]) -> None:
    first: dict[str, str] = {}
    for outcome in outcomes:
        if outcome.file is None:
            continue
        name = outcome.file.product
        if name in first:
            outcome.error = RepeatedProductError(name, first[name])
        first.setdefault(name, outcome.label)


def _check_drafts(outcomes: Sequence[ImportOutcome], options: ImportOptions) -> None:
    """Find the further problems of refused sources, so that all are reported together."""
    drafts = _Together(outcomes)
    for outcome in outcomes:
        if outcome.failed and outcome.error is None:
            _check(outcome, drafts, options)


def _check(outcome: ImportOutcome, others: _Together, options: ImportOptions) -> None:
    file, read = outcome.draft, outcome.read
    if file is None or read is None:
        return
    outcome.checked_problems = [*check(file, others), *unknown_credentials(file)]
    try:
        outcome.repository, more = choose_repository(file, read, given=options.source)
        outcome.checked_problems += more
        if outcome.repository is not None:
            outcome.checked_problems += other_triggers(file, outcome.repository)
        if not options.take_over:
            _refuse_admin_managed(file.product)
    except ConveyorError as error:
        outcome.error = error


def _refuse_admin_managed(name: str) -> None:
    if Product.objects.filter(name=name, managed_by=Product.Manager.ADMIN).exists():
        raise AdminManagedError(name)


def _store(outcome: ImportOutcome, options: ImportOptions) -> None:
    try:
        with transaction.atomic():
            outcome.changes = _stored(outcome, options)
            if options.check:
                transaction.set_rollback(True)
    except ConveyorError as error:
        outcome.error = error
        return
    if outcome.read and outcome.read.origin and not outcome.read.is_pushed and not options.check:
        outcome.checked_problems = [*outcome.checked_problems, not_pushed()]


def _stored(outcome: ImportOutcome, options: ImportOptions) -> Changes:
    file, read = outcome.file, outcome.read
    if file is None or read is None:
        raise ValueError(f"{outcome.label} was not read, so it cannot be stored.")
    changes = Changes()
    product = _product(file.product, options, changes)
    is_moved = _move(product, outcome.repository, changes)
    if options.credential:
        _give_credential(product, options.source or read.url, options.credential, changes)
    if read.on_default_branch and read.is_pushed:
        note_imported(product, read.commit)
    definition = store_definition(product, file)
    changes += publish(product, definition)
    store_commit_file(
        product,
        read.commit,
        data=read.data,
        problems=[each for each in outcome.problems if each.code != UNKNOWN_CREDENTIAL],
        definition=definition,
        path=read.path,
        on_default_branch=read.on_default_branch,
    )
    if is_moved and not read.on_default_branch:
        renew_source_warnings(product)  # of the file that the product's page shows
    return changes


def _product(name: str, options: ImportOptions, changes: Changes) -> Product:
    """Return the product, made or taken over where that is asked for."""
    product, is_new = Product.objects.get_or_create(
        name=name, defaults={"managed_by": Product.Manager.FILE}
    )
    if is_new:
        changes.created.append(f"product {name}")
        return product
    if not options.take_over:
        _refuse_admin_managed(name)
    elif take_over(product):
        changes.changed.append(f"product {name} (managed by its file now)")
    if restore_product(product):
        changes.created.append(f"product {name} (again)")
    return product


def _move(product: Product, url: str | None, changes: Changes) -> bool:
    """Give the product its repository; return whether it had another, or none."""
    source = Source.objects.filter(product=product).first()
    if url is None or (source is not None and source.url == url):
        return False
    set_source(product, url)
    (changes.created if source is None else changes.changed).append(f"source {url}")
    return True


def _give_credential(product: Product, named: str, name: str, changes: Changes) -> None:
    """Have the product's repository be read with a credential, which goes to the named host alone.

    Else the file could send it to a host of its own choice.
    """
    source = Source.objects.filter(product=product).first()
    if not named or source is None:
        raise ImportSourceError(
            f"The credential {quoted(name)} is for the URL of a repository. Import the URL, or name"
            " it with --source URL."
        )
    if not same_host(source.url, named):
        raise ImportSourceError(
            f"The file names the repository {quoted(source.url)}, which is on another host than"
            f" {quoted(named)}. The credential {quoted(name)} is not sent there. If that is meant,"
            " choose it for the source in the admin under Sources."
        )
    if give_credential(source, credential_named(name)):
        changes.changed.append(f"source (read with the credential {name})")


# A commit that was seen


def import_commit(product_id: UUID, commit: str) -> CommitFile | None:
    """Import a product's file at a new head of its default branch; return what it was.

    A broken file keeps the last good definition; its problems are in the row. A commit that is no
    longer the head is stored and not published. None when there is nothing to import: the product
    is not managed by a file (any more), or the commit was pushed over. Raises
    SourceUnreachableError: then it may be tried again.
    """
    source = Source.objects.filter(product_id=product_id).select_related("product").first()
    if source is None or not source.product.is_file_managed:
        return None
    product = source.product
    try:
        data, file, problems = _read_commit(product, source, commit)
    except CommitMissingError:
        return None
    with transaction.atomic():
        definition = store_definition(product, file) if file is not None else None
        row = store_commit_file(
            product,
            commit,
            data=data,
            problems=problems,
            definition=definition,
            path=source.path,
            on_default_branch=True,
        )
        if definition is not None and not any(each.is_error for each in problems):
            _publish_head(product, commit, definition)
    renew_warnings()
    return row


def _read_commit(
    product: Product, source: Source, commit: str
) -> tuple[bytes, BeltFile | None, list[Problem]]:
    """Return text, file and problems; a file that is another product's is none."""
    try:
        data = read_belt_file(source, commit)
    except (FileMissingError, FileTooLargeError, CommitRefusedError) as error:
        hint = "Mend it with another commit, or detach the product to manage it in the admin."
        return b"", None, [Problem(error.code, "error", str(error), hint)]
    except (RepositoryTooLargeError, ShallowRepositoryError) as error:
        hint = "Then import the file again, or push another commit."
        return b"", None, [Problem(error.code, "error", str(error), hint)]
    parsed = parse_isolated(data)
    draft = parsed.draft
    problems = [*parsed.problems, *own_problems(product, draft)]
    if draft is None or draft.product not in ("", product.name):
        return data, None, problems
    problems += check(draft, DatabaseCatalogue())
    problems += source_warnings(product, draft)
    return data, parsed.file, problems


def _publish_head(product: Product, commit: str, definition: Definition) -> None:
    """Publish unless the head is elsewhere by now, or the product was detached meanwhile."""
    head = Q(source__head_commit__in=[commit, ""])
    still = Product.objects.filter(head, pk=product.pk, managed_by=Product.Manager.FILE)
    if still.exists():
        publish(product, definition)
