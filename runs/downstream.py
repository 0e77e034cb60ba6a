"""Starting the downstream belt run of an edge that has fired."""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Now

from belts.definitions import definition_at
from belts.models import Belt
from products.configuration import current
from products.errors import PlatformError, UserError
from products.models import Source
from runs.creation import NewRun, create_belt_run
from runs.errors import BeltArchivedError, NotStartedError
from runs.models import BeltRun, Edge
from runs.start import place_of

logger = logging.getLogger(__name__)

#: Time for which a downstream source that cannot be read is tried again.
_PATIENCE = timedelta(hours=1)


def start_downstream(edge_id: UUID) -> BeltRun | None:
    """Start the downstream run of an edge that has fired, once however often this is called.

    Where nothing can be started, the edge is closed with the sentence why. Raises PlatformError
    when the downstream source cannot be read and is to be tried again.
    """
    edges = Edge.objects.select_related("upstream__belt__product", "upstream__definition")
    edge = edges.filter(id=edge_id, fired_at__isnull=False, closed_at__isnull=True).first()
    if edge is None or edge.started_id is not None:
        return None
    try:
        run = _start(edge)
    except UserError as error:
        _close(edge, str(error))
        return None
    except PlatformError as error:
        if not _is_old(edge):
            raise
        _close(edge, str(error))
        return None
    Edge.objects.filter(id=edge.id).update(started=run)
    return run


def _start(edge: Edge) -> BeltRun:
    belts = Belt.objects.named(edge.product_name, edge.belt_name)
    belt: Belt | None = belts.first()
    if belt is None:
        raise NotStartedError(f"There is no belt {edge.product_name}.{edge.belt_name} here.")
    # The process that made it may have died before it stored the run on the edge.
    made: BeltRun | None = BeltRun.objects.filter(upstream=edge.upstream, belt=belt).first()
    if made is not None:
        return made
    if belt.archived_at is not None or belt.product.archived_at is not None:
        raise BeltArchivedError(belt)
    _check_limits(edge.upstream)
    source = (
        Source.objects.select_related("credential", "product").filter(product=belt.product).first()
    )
    place = place_of(belt.product, source)
    return create_belt_run(
        NewRun(
            belt=belt,
            definition=definition_at(belt.product, place.commit),
            cause=f"After {edge.upstream} ({edge.declared}).",
            commit=place.commit,
            ref=place.ref,
            branch=place.branch,
            source_url=source.url if source else "",
            on_default_branch=place.on_default_branch,
            upstream=edge.upstream,
        )
    )


def _check_limits(upstream: BeltRun) -> None:
    """Raise NotStartedError where the chain is too long or too large."""
    configuration = current()
    if upstream.depth + 1 > configuration.max_chain_depth:
        raise NotStartedError(
            f"The chain is {upstream.depth} hops long already and may have "
            f"{configuration.max_chain_depth}. Do its belts start one another in a loop?"
        )
    root_id = upstream.root_id_or_own
    count = BeltRun.objects.filter(Q(id=root_id) | Q(root_id=root_id)).count()
    if count >= configuration.max_runs_per_root:
        raise NotStartedError(
            f"What began with one run has led to {count} already, and may lead to "
            f"{configuration.max_runs_per_root}. Do its belts start one another in a loop?"
        )


def _is_old(edge: Edge) -> bool:
    return Edge.objects.filter(id=edge.id, fired_at__lt=Now() - _PATIENCE).exists()


def _close(edge: Edge, note: str) -> None:
    Edge.objects.filter(id=edge.id, closed_at__isnull=True).update(closed_at=Now(), note=note)
    logger.info("The edge %s starts no belt run: %s", edge.id, note)
