"""The definition of a product that the admin manages, made from its rows.

The rows become the plain data of a belt file and are read by the file's own parser, so that the
same content gives the same definition, and the same mistakes the same sentences.
"""

from __future__ import annotations

import re
from typing import Any

from django.db import transaction

from belts.alignment import JOB_KEYS, Changes
from belts.definitions import DatabaseCatalogue, publish, readable_spec, store_definition
from belts.errors import BrokenFileError, FileManagedError
from belts.models import Belt, Definition, Job, Trigger
from belts.spec import ParseResult, parse_document
from belts.spec.matching import declared_source
from belts.spec.problems import Problem
from belts.spec.resolve import check
from belts.spec.shapes import BeltFile
from products.git.urls import same_repository
from products.models import Product, Source
from products.sources import set_source

_PLACE = re.compile(r"belts\[(\d+)\](?:\.jobs\[(\d+)\])?|triggers\[(\d+)\]")


def document_of(product: Product) -> dict[str, Any]:
    """Return the plain data of the belt file that says what the product's rows say."""
    belts = Belt.objects.filter(product=product, archived_at=None).order_by("position", "id")
    jobs: dict[Any, list[dict[str, Any]]] = {}
    for job in Job.objects.filter(belt__in=belts).order_by("position", "id"):
        jobs.setdefault(job.belt_id, []).append(_job_document(job))
    triggers = Trigger.objects.filter(product=product).order_by("position", "id")
    document = {
        "description": product.description.replace("\r\n", "\n"),
        "source": _source_to_say(product),
        "triggers": [_trigger_document(each) for each in triggers],
        "belts": [_belt_document(belt, jobs.get(belt.pk, [])) for belt in belts],
    }
    return {"product": product.name, **{key: each for key, each in document.items() if each}}


def _belt_document(belt: Belt, jobs: list[dict[str, Any]]) -> dict[str, Any]:
    given = {
        "description": belt.description.replace("\r\n", "\n"),
        "env": belt.env,
        "downstreams": belt.downstreams,
    }
    return {"name": belt.name, **_said(given), "jobs": jobs}


def _job_document(job: Job) -> dict[str, Any]:
    return {"name": job.name, **_said({key: getattr(job, name) for name, key in JOB_KEYS.items()})}


def _trigger_document(trigger: Trigger) -> dict[str, Any]:
    details = trigger.details if isinstance(trigger.details, dict) else {"": trigger.details}
    return {trigger.kind: None, **details, "belts": trigger.belts}


def _said(given: dict[str, Any]) -> dict[str, Any]:
    """Return the keys that say something; an empty field of a form says nothing."""
    return {key: each for key, each in given.items() if each not in (None, "", [], {})}


def _source_to_say(product: Product) -> str | None:
    """Return the ``source`` that a file would have to name for this product.

    As its last definition wrote it, if that is the product's repository; nothing where the
    triggers name the repository anyway.
    """
    source = Source.objects.filter(product=product).first()
    if source is None:
        return None
    last = readable_spec(Definition.objects.filter(current_of=product).first())
    said = last.source if last else None
    if said and same_repository(said, source.url):
        return said
    return None if _named_by_triggers(product, source.url) else source.url


def _named_by_triggers(product: Product, url: str) -> bool:
    details = Trigger.objects.filter(product=product, kind=Trigger.Kind.SCM_EVENT)
    named = [each.get("repo") for each in details.values_list("details", flat=True)]
    repos = [repo for repo in named if isinstance(repo, str) and repo]
    return bool(repos) and all(same_repository(repo, url) for repo in repos)


def read_rows(product: Product) -> ParseResult:
    """Return what the product's rows say, with every problem; also those with other products.

    The problems' paths name belts and jobs by name, as people see them in the admin.
    """
    document = document_of(product)
    parsed = parse_document(document)
    problems = list(parsed.problems)
    if parsed.draft is not None:
        problems += check(parsed.draft, DatabaseCatalogue())
    failed = any(each.is_error for each in problems)
    return ParseResult(
        None if failed else parsed.file, tuple(_placed(each, document) for each in problems)
    )


def publish_rows(product: Product) -> tuple[Changes, tuple[Problem, ...]]:
    """Make the rows of a product that the admin manages its present definition; atomic.

    Returns what that changed in the rows, and the warnings. Raises BrokenFileError with the
    problems when the rows cannot be used, FileManagedError when its file manages the product.
    """
    if product.is_file_managed:
        raise FileManagedError(product.name)
    with transaction.atomic():
        result = read_rows(product)
        if result.file is None:
            raise BrokenFileError(f"What the admin holds of {product}", result.problems)
        _give_source(product, result.file)
        changes = publish(product, store_definition(product, result.file))
    return changes, result.problems


def _give_source(product: Product, file: BeltFile) -> None:
    """Give a product without a source the one repository that its triggers name."""
    url = declared_source(file, same_repository=same_repository)
    if url and not Source.objects.filter(product=product).exists():
        set_source(product, url)


def _placed(problem: Problem, document: dict[str, Any]) -> Problem:
    found = _PLACE.match(problem.path)
    if found is None:
        return problem
    belt, job, trigger = found.groups()
    if trigger is not None:
        name = f"trigger {int(trigger) + 1}"
    else:
        holder = document["belts"][int(belt)]
        name = f"belt {holder['name']}"
        if job is not None:
            name = f"job {holder['name']}.{holder['jobs'][int(job)]['name']}"
    rest = problem.path[found.end() :].lstrip(".")
    return Problem(problem.code, problem.severity, problem.message, problem.hint, f"{name} {rest}")
