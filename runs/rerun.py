"""Repeating a belt run as the next round of its number, on its frozen plan."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import IntegrityError
from django.db.models import F, Max

from belts.models import Belt
from products.configuration import current
from products.identifiers import uuid7
from runs.creation import new_job_run
from runs.edges import closing_note, repeated_edge
from runs.errors import (
    BeltArchivedError,
    BeltMissingError,
    NothingToRerunError,
    RunGoneError,
    RunUnfinishedError,
    RunUnresolvedError,
)
from runs.models import BeltRun, Edge, JobRun, RunEvent, Supplier
from runs.release import belt_of, follow_up, look_again, read_run
from runs.states import JobRunState, Reason
from runs.transitions import Why, moving


def rerun_belt_run(
    run: BeltRun,
    *,
    user: Any = None,
    only_failed: bool = False,
    continue_downstream: bool | None = None,
    by: str = "",
) -> BeltRun:
    """Repeat a belt run that has ended; return the new round.

    It has the same definition, commit, event, suppliers and parameters. With ``only_failed`` the
    jobs that succeeded are kept with their outputs. It continues downstream unless it is of a pull
    request or ``continue_downstream`` chooses otherwise.

    Raises RunUnfinishedError, NothingToRerunError, RunUnresolvedError for one that was never run
    because its inputs name what does not exist, RunGoneError for one that was removed, and
    BeltArchivedError where the product is archived. A belt that its product no longer has is
    repeated on the plan of its run.
    """
    rows = BeltRun.objects.select_related("belt__product", "definition", "event")
    present = rows.filter(id=run.id).first()
    if present is None:
        raise RunGoneError(run)
    if present.belt.product.archived_at is not None:
        raise BeltArchivedError(present.belt)
    if not present.is_finished:
        raise RunUnfinishedError(present)
    if only_failed and not _has_unsuccessful(present):
        raise NothingToRerunError(present)
    _check_resolved(present)
    name = by or (user.get_username() if user is not None else "") or "somebody"
    if continue_downstream is None:
        continue_downstream = not _is_of_pull_request(present)
    again = _round(present, user, name, continue_downstream=continue_downstream)
    try:
        _insert(present, again, name, only_failed=only_failed)
    except IntegrityError as error:
        # What it was made from may have been removed since it was read.
        if BeltRun.objects.filter(id=run.id).exists():
            raise
        raise RunGoneError(run) from error
    again.refresh_from_db()
    return again


def _is_of_pull_request(run: BeltRun) -> bool:
    return run.event is not None and run.event.is_pull_request


def _has_unsuccessful(run: BeltRun) -> bool:
    # Not the state of the run: early versions ended runs as succeeded with skipped jobs.
    return JobRun.objects.filter(belt_run=run).exclude(state=JobRunState.SUCCEEDED).exists()


def _check_resolved(run: BeltRun) -> None:
    """Raise RunUnresolvedError where jobs ended as errored with the creation of the run."""
    born = RunEvent.objects.filter(belt_run=run, old="", new=JobRunState.ERRORED)
    sentences = list(born.order_by("id").values_list("message", flat=True))
    if sentences:
        raise RunUnresolvedError(run, sentences)


def _round(run: BeltRun, user: Any, name: str, *, continue_downstream: bool) -> BeltRun:
    return BeltRun(
        id=uuid7(),
        belt=run.belt,
        definition=run.definition,
        number=run.number,
        event=run.event,
        started_by=user if getattr(user, "pk", None) else None,
        cause=f"{run} again, asked for by {name}."[:500],
        root_id=run.root_id_or_own,
        depth=run.depth,
        rerun_of=run,
        source_url=run.source_url,
        commit=run.commit,
        ref=run.ref,
        branch=run.branch,
        on_default_branch=run.on_default_branch,
        parameters=run.parameters,
        continue_downstream=continue_downstream,
    )


def _insert(run: BeltRun, again: BeltRun, name: str, *, only_failed: bool) -> None:
    belt = belt_of(run)
    if belt is None:
        raise BeltMissingError(run.belt.product.name, run.belt.name, [], run.commit)
    with moving(again.id, is_new=True) as moves:
        again.round = _next_round(run)
        former = {job_run.name: job_run for job_run in JobRun.objects.filter(belt_run=run)}
        rows = []
        configuration = current()
        for position, job in enumerate(belt.jobs):
            job_run = new_job_run(again, job, position, configuration)
            kept = former.get(job.name) if only_failed else None
            rows.append(_first(job_run, kept, run.round))
        to_run = [row[0] for row in rows if not row[0].reused_from_id]
        suppliers = _copied_suppliers(former.values(), to_run)
        # What is kept from the round before brings the taint of that round with it.
        again.tainted = run.tainted or any(
            each.belt_run is not None and each.belt_run.tainted for each in suppliers
        )
        moves.begin(again, Why(Reason.CREATED, again.cause, name))
        moves.insert(rows)
        Supplier.objects.bulk_create(suppliers)
        closed = closing_note(
            continue_downstream=again.continue_downstream,
            is_of_pull_request=_is_of_pull_request(run),
        )
        Edge.objects.bulk_create(
            repeated_edge(each, again.id, closed=closed) for each in run.edges.all()
        )
        follow_up(moves, read_run(again.id))
        if suppliers:
            moves.then(look_again(again.id, delay_s=1))


def _next_round(run: BeltRun) -> int:
    # Taking the belt's row first puts the creations of its runs in turn.
    Belt.objects.filter(pk=run.belt_id).update(last_number=F("last_number"))
    rounds = BeltRun.objects.filter(belt_id=run.belt_id, number=run.number)
    newest: int = rounds.aggregate(newest=Max("round"))["newest"] or run.round
    return newest + 1


def _first(
    job_run: JobRun, kept: JobRun | None, round_kept: int
) -> tuple[JobRun, JobRunState, Why]:
    """Return a job run in its first state: that of the round before if it is ``kept`` and good."""
    if kept is not None and kept.state == JobRunState.SUCCEEDED:
        job_run.reused_from_id = kept.reused_from_id or kept.id
        sentence = f"Kept from round {round_kept}."
        return job_run, JobRunState.SUCCEEDED, Why(Reason.REUSED, sentence)
    return job_run, JobRunState.WAITING, Why(Reason.CREATED)


def _copied_suppliers(former_jobs: Iterable[JobRun], job_runs: list[JobRun]) -> list[Supplier]:
    """Return suppliers for the job runs that are to run, as the former ones have them.

    A job run that was kept from an earlier round has those of the job run that it stands for.
    """
    by_name = {job_run.name: job_run for job_run in job_runs}
    origins = [each.reused_from_id or each.id for each in former_jobs]
    rows = Supplier.objects.filter(consumer__in=origins)
    former = rows.select_related("consumer", "belt_run")
    return [
        Supplier(
            id=uuid7(),
            consumer=by_name[each.consumer.name],
            product_name=each.product_name,
            belt_name=each.belt_name,
            job_name=each.job_name,
            belt_run=each.belt_run,
            how=each.how,
            note=each.note,
        )
        for each in former.order_by("id")
        if each.consumer.name in by_name
    ]
