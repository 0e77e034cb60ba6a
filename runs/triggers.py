"""Starting the belt runs that an event triggers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from uuid import UUID

from django.db.models.functions import Now

from belts.definitions import current_definition, definition_at, spec_of
from belts.models import Belt, Definition
from belts.spec.matching import EventFacts, matches
from products.errors import UserError
from products.git.remote import ResolvedRef
from products.git.urls import same_repository
from products.models import Event, Source
from runs.creation import NewRun, create_belt_run
from runs.models import BeltRun
from runs.start import place_of

logger = logging.getLogger(__name__)


def start_for_event(event_id: UUID) -> list[BeltRun]:
    """Start the belts that an event triggers, each once however often this is called.

    The triggers are those of the definition at the event's own commit; a fork's event has those of
    the product's present definition, so that a fork does not decide what is run. The
    outcome is stored with the event as a sentence. Raises PlatformError if it must be tried again.
    """
    event = Event.objects.select_related("product", "source").filter(id=event_id).first()
    if event is None or event.handled_at is not None:
        return []
    runs: list[BeltRun] = []
    try:
        outcome = _start(event, runs)
    except UserError as error:
        outcome = f"Nothing more was started. {error}"
        logger.info("Event %s: %s", event.id, outcome)
    Event.objects.filter(id=event.id, handled_at__isnull=True).update(
        handled_at=Now(), outcome=outcome[:4000]
    )
    return runs


def _start(event: Event, runs: list[BeltRun]) -> str:
    if event.product.archived_at is not None:
        return "The product is archived."
    place = _place(event)
    definition = _definition(event, place)
    names = list(dict.fromkeys(_belts(event, definition)))
    for name in names:
        # A branch may have belts that the default branch has not, or not yet.
        belt, _ = Belt.objects.get_or_create(product=event.product, name=name)
        new = NewRun(
            belt=belt,
            definition=definition,
            cause=_cause(event),
            commit=place.commit,
            ref=place.ref,
            branch=place.branch,
            source_url=event.source.url if event.source else "",
            on_default_branch=place.on_default_branch,
            tainted=event.tainted,
            event_id=event.id,
            is_of_pull_request=event.is_pull_request,
            continue_downstream=not event.is_pull_request,
        )
        runs.append(create_belt_run(new))
    if not names:
        return "No trigger answers to it."
    return f"Started {', '.join(str(run) for run in runs)}."


def _place(event: Event) -> ResolvedRef:
    if event.origin == Event.Origin.SCHEDULE:
        source = Source.objects.select_related("credential", "product").filter(
            product=event.product
        )
        return place_of(event.product, source.first())
    if event.is_pull_request:
        # Its branch is the one that it is to be merged into, which does not have the commit. So no
        # consumer finds the run by that branch.
        return ResolvedRef(event.commit, event.ref, branch="", on_default_branch=False)
    default = event.source.default_branch if event.source else ""
    return ResolvedRef(
        commit=event.commit,
        ref=event.ref,
        branch=event.branch,
        on_default_branch=bool(default) and event.branch == default,
    )


def _definition(event: Event, place: ResolvedRef) -> Definition:
    if event.tainted:
        return current_definition(event.product)
    return definition_at(event.product, place.commit)


def _belts(event: Event, definition: Definition) -> Iterator[str]:
    """Yield the names of the belts that the event starts."""
    file = spec_of(definition)
    if event.origin == Event.Origin.SCHEDULE:
        yield from (name for name in event.details.get("belts", []) if file.belt(name))
        return
    for kind in event.kinds:
        facts = EventFacts(
            kind=kind,
            repository=event.source.url if event.source else "",
            branch=event.branch,
        )
        for trigger in file.triggers:
            if matches(trigger, facts, same_repository=same_repository):
                yield from (name for name in trigger.belts if file.belt(name))


def _cause(event: Event) -> str:
    if event.origin == Event.Origin.SCHEDULE:
        return "Started by its schedule."
    commit, where = event.commit[:12], event.branch or event.ref
    # A look at branches cannot tell a merge from a push to the default branch.
    if "push" in event.kinds:
        return f"Push of {commit} to {where}."
    if "tag" in event.kinds:
        return f"Tag {event.ref.removeprefix('refs/tags/')} at {commit}."
    return f"{' and '.join(event.kinds).capitalize()} of {commit} on {where}."
