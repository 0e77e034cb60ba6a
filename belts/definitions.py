"""Definitions: storing them, reading them, and making one a product's present one."""

from __future__ import annotations

import logging
from uuid import UUID

from django.db import transaction
from django.db.models import UUIDField

from belts.alignment import Changes, align_rows
from belts.commit_files import own_problems, store_commit_file
from belts.errors import BrokenFileError, NoDefinitionError, UnknownDefinitionError
from belts.models import CommitFile, Definition
from belts.spec.isolated import parse_isolated
from belts.spec.problems import Problem
from belts.spec.shapes import BeltFile, digest
from belts.spec.stored import UnknownConstructError, stored_file
from products.git.files import read_belt_file
from products.models import Product, Source
from products.remembered import Remembered
from products.statements import Given, SelectOne

logger = logging.getLogger(__name__)

_REMEMBERED = 256

#: The files of the definitions used last, by id; definitions never change.
_specs: Remembered[UUID, BeltFile] = Remembered(_REMEMBERED)


def spec_of(definition: Definition) -> BeltFile:
    """Return what the definition says; the last ones used are kept in memory.

    Raises UnknownDefinitionError where a newer version wrote something that this one cannot run.
    """
    file = _specs.get(definition.id)
    if file is None:
        try:
            file = stored_file(definition.document)
        except UnknownConstructError as error:
            raise UnknownDefinitionError(f"{definition}", f"{error}") from error
        _specs.put(definition.id, file)
    return file


def readable_spec(definition: Definition | None) -> BeltFile | None:
    """Return what the definition says, None where this version cannot read it or there is none.

    For what only shows or compares; what runs a definition asks ``spec_of``.
    """
    try:
        return spec_of(definition) if definition is not None else None
    except UnknownDefinitionError as error:
        logger.warning("%s", error)
        return None


def store_definition(product: Product, file: BeltFile) -> Definition:
    """Return the product's definition that says what ``file`` says, stored if it is new."""
    definition, _ = Definition.objects.get_or_create(
        product=product, digest=digest(file), defaults={"document": file.to_document()}
    )
    return definition


def publish(product: Product, definition: Definition) -> Changes:
    """Make ``definition`` the present one and the product's rows equal to it; atomic.

    Returns what that changed in the rows. New runs use it; runs that exist keep theirs.
    """
    file = spec_of(definition)
    with transaction.atomic():
        # The first statement takes the product's row, so that two publications are in turn.
        Product.objects.filter(pk=product.pk).update(description=file.description)
        product.description = file.description
        # Belts before definitions: who creates a run takes a belt's row and then a definition's.
        changes = align_rows(product, file)
        others = Definition.objects.filter(current_of=product).exclude(pk=definition.pk)
        others.update(current_of=None)
        Definition.objects.filter(pk=definition.pk).update(current_of=product)
        definition.current_of = product
        return changes


def current_definition(product: Product) -> Definition:
    """Return the definition that new runs of the product use.

    Raises NoDefinitionError when nothing has been published yet.
    """
    definition = _CURRENT.get(product=product.pk)
    if definition is None:
        raise NoDefinitionError(product.name)
    return definition


_CURRENT = SelectOne(
    Definition,
    lambda columns: (
        Definition.objects.filter(current_of_id=Given("product", UUIDField()))
        .order_by()
        .values_list(*columns)
    ),
    # It is large, and mostly known already.
    without=["document"],
)


def definition_at(product: Product, commit: str) -> Definition:
    """Return the definition that a run of the product at ``commit`` uses.

    It is the file at that commit, read once and stored; the present definition for a product that
    the admin manages or that has no source, and where ``commit`` is empty. Raises BrokenFileError
    with its problems, FileMissingError where the commit has no file, and SourceUnreachableError.
    May go to the source's repository, so it is not for within a transaction.
    """
    if not commit or not product.is_file_managed:
        return current_definition(product)
    source = Source.objects.filter(product=product).select_related("credential").first()
    if source is None:
        return current_definition(product)
    # The path may have been another one when the commit was read.
    known = CommitFile.objects.filter(product=product, commit=commit, path=source.path)
    row = known.select_related("definition").defer("text").first()
    if row is None:
        row = _read(product, source, commit)
    if row.definition is None:
        problems = [Problem.from_document(each) for each in row.problems]
        raise BrokenFileError(f"{source.path} of {product} at {commit[:12]}", problems)
    return row.definition


def _read(product: Product, source: Source, commit: str) -> CommitFile:
    data = read_belt_file(source, commit)
    parsed = parse_isolated(data)
    problems = [*parsed.problems, *own_problems(product, parsed.draft)]
    usable = parsed.file if not any(each.is_error for each in problems) else None
    return store_commit_file(
        product,
        commit,
        data=data,
        problems=problems,
        definition=store_definition(product, usable) if usable else None,
        path=source.path,
        keep=True,
    )


class DatabaseCatalogue:
    """The products that have a definition, as ``belts.spec.resolve.Catalogue``.

    Each is looked up once: one catalogue is for one check or one run, which see one state.
    """

    def __init__(self) -> None:
        self._found: dict[str, BeltFile | None] = {}

    def product(self, name: str) -> BeltFile | None:
        """Return the present file of the product ``name``, None when there is none."""
        if name not in self._found:
            definition = Definition.objects.filter(current_of__name=name).first()
            self._found[name] = spec_of(definition) if definition else None
        return self._found[name]
