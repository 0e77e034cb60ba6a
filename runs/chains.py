"""A chain of belt runs across products, in the order in which pages show it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum

from runs.models import BeltRun, Edge, JobRun
from runs.states import BELT_FINISHED, BeltRunState, JobRunState

#: More of a chain is not shown; ``Configuration.max_runs_per_root`` is about as much.
LONGEST = 500


@dataclass(frozen=True, slots=True)
class ChainLink:
    """A belt run in its chain.

    ``depth`` is how far it is indented; ``follows`` says whether the run before it led to it.
    """

    run: BeltRun
    depth: int
    follows: bool = False


def chain_of(run: BeltRun, visible: QuerySet[BeltRun]) -> list[ChainLink]:
    """Return the visible runs of the chain of ``run``, each after the one that led to it.

    One query, for at most LONGEST runs.
    """
    root_id = run.root_id_or_own
    runs = visible.filter(Q(id=root_id) | Q(root_id=root_id)).select_related("belt__product")
    return arranged(runs.order_by("id")[:LONGEST])


def newest_chains(visible: QuerySet[BeltRun], *, most: int) -> list[list[ChainLink]]:
    """Return the newest chains, newest first, each with its visible runs; two queries.

    A chain stands where the first of its runs that are visible stands: its root may be a run of a
    product that the viewer may not see.
    """
    earlier = visible.filter(
        Q(id=OuterRef("root_id")) | Q(root_id=OuterRef("root_id")), id__lt=OuterRef("id")
    )
    first_seen = visible.filter(Q(root__isnull=True) | ~Exists(earlier))
    heads = list(first_seen.select_related("belt__product").order_by("-id")[:most])
    runs = visible.filter(root_id__in=[head.root_id_or_own for head in heads])
    members: dict[UUID, list[BeltRun]] = {head.root_id_or_own: [head] for head in heads}
    for run in runs.select_related("belt__product").order_by("id")[:LONGEST]:
        members[run.root_id_or_own].append(run)
    # A first run that is no root is among its chain's runs, too.
    unique = [{run.id: run for run in members[head.root_id_or_own]} for head in heads]
    return [arranged(each.values()) for each in unique]


def arranged(runs: Iterable[BeltRun]) -> list[ChainLink]:
    """Return the runs of one chain (oldest first) so that each follows what led to it.

    A repeat stands beside what it repeats; a run whose cause is not shown stands at the left.
    """
    shown = list(runs)
    known = {run.id: run for run in shown}
    children: dict[UUID | None, list[BeltRun]] = defaultdict(list)
    for run in shown:
        children[_cause(run, known)].append(run)
    links: list[ChainLink] = []
    waiting = [(run, 0) for run in reversed(children[None])]
    while waiting:
        run, depth = waiting.pop()
        follows = bool(links) and links[-1].depth < depth
        links.append(ChainLink(run, depth, follows))
        waiting.extend((child, depth + 1) for child in reversed(children[run.id]))
    return links


def _cause(run: BeltRun, known: dict[UUID, BeltRun]) -> UUID | None:
    """Return the id of the shown run that led to ``run``, by way of what it repeats."""
    seen: set[UUID] = set()
    while run.upstream_id is None and run.rerun_of_id in known and run.id not in seen:
        seen.add(run.id)
        run = known[run.rerun_of_id]
    return run.upstream_id if run.upstream_id in known else None


def whole_chain(run: BeltRun) -> QuerySet[BeltRun]:
    """Return all runs of the chain of ``run``, unordered, whoever may see them."""
    root_id = run.root_id_or_own
    return BeltRun.objects.filter(Q(id=root_id) | Q(root_id=root_id)).order_by()


@dataclass(frozen=True, slots=True)
class ChainState:
    """Where a chain stands; ``version`` differs whenever something has moved in it.

    A start counts no move, and makes one job run more that is running.
    """

    version: str
    is_open: bool


def state_of(chain: QuerySet[BeltRun]) -> ChainState:
    """Return the state of a chain; it is open while a run or an edge of it may still move."""
    unfinished = Q(state__in=set(BeltRunState) - BELT_FINISHED)
    sums = chain.aggregate(
        runs=Count("id"), moves=Sum("moves"), unfinished=Count("id", filter=unfinished)
    )
    running = JobRun.objects.filter(belt_run__in=chain, state=JobRunState.RUNNING).count()
    pending = Edge.objects.filter(upstream__in=chain, started__isnull=True, closed_at__isnull=True)
    return ChainState(
        version=f"{sums['runs']}.{sums['moves'] or 0}.{running}",
        is_open=bool(sums["unfinished"]) or pending.exists(),
    )
