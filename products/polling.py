"""Polling of sources: each new commit of a branch and each new tag becomes one event.

A guarded update on the row of the source claims a poll, so any number of orchestrators may poll.
Several sources are read in parallel, outside of transactions. The result is written in one
transaction that begins with the same guard, so that a poll whose claim expired writes nothing.

The first poll of a source records its refs. It makes no event, unless the default branch has
moved since its file was imported: that move is an event like any later one. Later a new commit of a
branch is a push, of the default branch also a merge, and a new tag is a tag, each once for each ref
and commit.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from products.configuration import current
from products.credentials import OpenedCredential, open_for_source
from products.errors import ConveyorError
from products.git.remote import (
    LIST_TIMEOUT_S,
    LONGEST_BRANCH,
    LONGEST_TAG,
    RemoteRefs,
    ask_refs,
)
from products.git.urls import check_url
from products.identifiers import uuid7
from products.models import Event, OutboxRow, SeenRef, Source
from products.outbox import Consequence, write_outbox

logger = logging.getLogger(__name__)

#: Maximum seconds between two polls of a source that cannot be read.
LONGEST_BACKOFF_S = 600.0
#: A slow source is polled for at most one tenth of the time.
_SHARE = 10
#: Maximum number of sources that are read in parallel.
_AT_ONCE = 8
#: Maximum number of changes that one poll writes; the next poll finds the others.
_MOST_CHANGES = 200
# Of the refs that are passed over, the number that the warning names, and characters of each name.
_MOST_NAMED = 5
_SHOWN_OF_A_NAME = 60
_CLAIM = timedelta(seconds=2 * LIST_TIMEOUT_S)
_HEADS, _TAGS = "refs/heads/", "refs/tags/"
_FREE = Q(claimed_until__isnull=True) | Q(claimed_until__lt=Now())


@dataclass(frozen=True, slots=True)
class _Look:
    """A claimed look; the claim is known by its end."""

    source: Source
    until: datetime
    credential: OpenedCredential | None


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a source answered, and how many seconds that took."""

    found: RemoteRefs | ConveyorError
    took_s: float


def poll_source(source_id: UUID) -> int:
    """Poll a source now, also if it is not due; return the number of new events.

    Does nothing while another poll has the claim. A failure is stored in ``error`` of the source
    and not raised.
    """
    return _poll([source_id], only_due=False)


def poll_sources(source_ids: Sequence[UUID]) -> int:
    """Poll these sources now, as ``poll_source`` does; return the number of new events."""
    return sum(
        _poll(source_ids[first : first + _AT_ONCE], only_due=False)
        for first in range(0, len(source_ids), _AT_ONCE)
    )


def poll_due_sources(limit: int = 20) -> int:
    """Poll due sources, oldest first; return the number of new events."""
    rows = Source.objects.due().filter(poll=True, product__archived_at__isnull=True)
    due = list(rows.order_by("due_at").values_list("pk", flat=True)[:limit])
    return sum(
        _poll(due[first : first + _AT_ONCE], only_due=True)
        for first in range(0, len(due), _AT_ONCE)
    )


def _poll(source_ids: Sequence[UUID], *, only_due: bool) -> int:
    looks = []
    for source_id in source_ids:
        look = _begin(source_id, only_due=only_due)
        if look is not None:
            looks.append(look)
    return sum(_end(look, answer) for look, answer in zip(looks, _look_at(looks), strict=True))


# --- Looking --------------------------------------------------------------------------------------
def _begin(source_id: UUID, *, only_due: bool) -> _Look | None:
    """Claim a poll; return None if another poll has the claim or this one fails at once."""
    until = _claim(source_id, only_due=only_due)
    if until is None:
        return None
    source = Source.objects.select_related("product", "credential").get(pk=source_id)
    try:
        check_url(source.url)
        return _Look(source, until, open_for_source(source))
    except ConveyorError as error:
        _fail(_Look(source, until, None), error, took_s=0)
        return None


def _claim(source_id: UUID, *, only_due: bool) -> datetime | None:
    """Return the end of the claim on the database's clock, None if there is nothing to claim."""
    rows = Source.objects.filter(pk=source_id)
    now = rows.filter(product__archived_at__isnull=True).values_list(Now(), flat=True).first()
    if now is None:
        return None
    until: datetime = now + _CLAIM
    # No join: PostgreSQL looks again at the row alone when another claim got ahead.
    free = rows.due().filter(poll=True) if only_due else rows.filter(_FREE)
    return until if free.update(claimed_until=until) else None


def _look_at(looks: Sequence[_Look]) -> list[_Answer]:
    """Return what each source answers; nothing here touches the database."""
    if len(looks) <= 1:
        return [_ask(look) for look in looks]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(_ask, looks))


def _ask(look: _Look) -> _Answer:
    begun = time.monotonic()
    found: RemoteRefs | ConveyorError
    try:
        found = ask_refs(look.source.url, look.credential)
    except ConveyorError as error:
        found = error
    return _Answer(found, time.monotonic() - begun)


def _end(look: _Look, answer: _Answer) -> int:
    if isinstance(answer.found, ConveyorError):
        _fail(look, answer.found, took_s=answer.took_s)
        return 0
    return _record(look, answer.found, took_s=answer.took_s)


# --- Writing --------------------------------------------------------------------------------------
def _give_back(look: _Look, **fields: Any) -> bool:
    """End the claim and write the row; return False and write nothing if the claim expired."""
    mine = Source.objects.filter(pk=look.source.pk, claimed_until=look.until)
    return mine.update(claimed_until=None, polled_at=Now(), **fields) == 1


def _interval_s(source: Source, took_s: float) -> float:
    """Return the seconds until the next look; others wait while a slow server is looked at."""
    wanted = max(1, source.poll_interval_s or current().poll_interval_s)
    return max(float(wanted), _SHARE * took_s)


def _fail(look: _Look, error: ConveyorError, *, took_s: float) -> None:
    """Keep the sentence, and look again after twice the time since the last failure."""
    source = look.source
    delay_s = _interval_s(source, took_s)
    if source.error and source.polled_at is not None:
        waited_s = (source.due_at - source.polled_at).total_seconds()
        delay_s = max(delay_s, min(2 * waited_s, LONGEST_BACKOFF_S))
    else:
        logger.warning("The source of %s cannot be read: %s", source.product, error)
    _give_back(look, error=str(error), due_at=Now() + timedelta(seconds=delay_s))


def _record(look: _Look, found: RemoteRefs, *, took_s: float) -> int:
    """Write what is new in one transaction; return the number of events."""
    source = look.source
    is_first = source.first_seen_at is None
    # No other process writes these rows during the claim.
    seen = {row.ref: row for row in SeenRef.objects.filter(source=source)}
    changed = _changed(found, seen)
    written = changed if is_first else changed[:_MOST_CHANGES]
    rest = len(changed) - len(written)
    delay_s = 0.0 if rest else _interval_s(source, took_s)
    fields: dict[str, Any] = {"first_seen_at": Now()} if is_first else {}
    with transaction.atomic():
        is_mine = _give_back(
            look,
            error="",
            warning=_warning(found.passed_over),
            due_at=Now() + timedelta(seconds=delay_s),
            default_branch=found.default_branch,
            head_commit=found.head_commit,
            **fields,
        )
        if not is_mine:
            return 0
        _remember(source, found, seen, written)
        news = _moved_since_import(source, found, seen) if is_first else written
        events = _make_events(source, found, seen, news)
        write_outbox([*_imports(source, found), *_starts(source, events)])
    if events:
        logger.info("The source of %s has %d new events.", source.product, len(events))
    return len(events)


def _warning(passed_over: Sequence[str]) -> str:
    """Return the sentence about branches and tags whose names cannot be stored."""
    if not passed_over:
        return ""
    names = ", ".join(map(_shortened, passed_over[:_MOST_NAMED]))
    rest = len(passed_over) - _MOST_NAMED
    return (
        f"Nothing starts for these branches and tags: {names}"
        f"{f' and {rest} more' if rest > 0 else ''}. A branch may have at most {LONGEST_BRANCH} "
        f"characters, a tag {LONGEST_TAG}, and both must be UTF-8. Rename them in the repository."
    )


def _shortened(ref: str) -> str:
    name = ref.removeprefix("refs/")
    plain = "".join(char if char.isprintable() else "?" for char in name[:_SHOWN_OF_A_NAME])
    return f"{plain}…" if len(name) > _SHOWN_OF_A_NAME else plain


def _moved_since_import(
    source: Source, found: RemoteRefs, seen: Mapping[str, SeenRef]
) -> list[str]:
    """Return the default branch if it is elsewhere than when its file was imported.

    A restored product was polled before: what changed while it was archived makes no events.
    """
    imported, head = source.head_commit, found.head_commit
    if seen or not imported or head in ("", imported):
        return []
    return [_HEADS + found.default_branch]


def _changed(found: RemoteRefs, seen: Mapping[str, SeenRef]) -> list[str]:
    """Return the refs that are new or elsewhere than before, the default branch first."""
    default = _HEADS + found.default_branch
    changed = [
        ref for ref, commit in found.refs.items() if ref not in seen or seen[ref].commit != commit
    ]
    return sorted(changed, key=lambda ref: (ref != default, not ref.startswith(_HEADS), ref))


def _remember(
    source: Source, found: RemoteRefs, seen: Mapping[str, SeenRef], changed: Sequence[str]
) -> None:
    """Store where the refs are now, and forget those that are gone."""
    gone = [row.pk for ref, row in seen.items() if ref not in found.refs]
    for first in range(0, len(gone), 500):
        SeenRef.objects.filter(pk__in=gone[first : first + 500]).delete()
    new = [ref for ref in changed if ref not in seen]
    SeenRef.objects.bulk_create(
        [SeenRef(source=source, ref=ref, commit=found.refs[ref]) for ref in new], batch_size=500
    )
    for ref in changed:
        if ref in seen:
            SeenRef.objects.filter(pk=seen[ref].pk).update(commit=found.refs[ref])


def _make_events(
    source: Source, found: RemoteRefs, seen: Mapping[str, SeenRef], changed: Sequence[str]
) -> list[Event]:
    """Insert an event for each ref that is at a commit where it never was; return those."""
    wanted = [_event(source, found, ref, seen.get(ref)) for ref in changed]
    known = set(
        Event.objects.filter(
            product_id=source.product_id, key__in=[event.key for event in wanted]
        ).values_list("key", flat=True)
    )
    Event.objects.bulk_create(
        [event for event in wanted if event.key not in known], ignore_conflicts=True
    )
    # A webhook may have stored the same event a moment ago.
    made = Event.objects.filter(pk__in=[event.pk for event in wanted])
    return list(made.order_by("pk"))


def _event(source: Source, found: RemoteRefs, ref: str, before: SeenRef | None) -> Event:
    commit = found.refs[ref]
    branch = ref.removeprefix(_HEADS) if ref.startswith(_HEADS) else ""
    is_merge = branch == found.default_branch and commit != source.head_commit
    kinds = ["tag"] if ref.startswith(_TAGS) else ["push", "merge"] if is_merge else ["push"]
    return Event(
        id=uuid7(),
        product_id=source.product_id,
        source=source,
        kinds=kinds,
        origin=Event.Origin.POLL,
        key=f"{ref}@{commit}",
        ref=ref,
        branch=branch,
        commit=commit,
        details={"before": before.commit} if before is not None else {},
    )


def _starts(source: Source, events: Iterable[Event]) -> Iterator[Consequence]:
    for event in events:
        yield Consequence(
            OutboxRow.Kind.EVENT,
            f"event:{event.pk}",
            {"event": str(event.pk)},
            product_name=source.product.name,
        )


def _imports(source: Source, found: RemoteRefs) -> list[Consequence]:
    """Return that the file is to be imported, if the product is its and may have a new one.

    The first poll of a repository is not a change, because its file has just been imported.
    """
    head, before = found.head_commit, source.head_commit
    is_new = head not in ("", before) and (bool(before) or source.first_seen_at is not None)
    if not source.product.is_file_managed or not is_new:
        return []
    payload = {"product": str(source.product_id), "commit": head}
    key = f"import:{source.product_id}:{head}"
    name = source.product.name
    return [Consequence(OutboxRow.Kind.IMPORT, key, payload, product_name=name)]
