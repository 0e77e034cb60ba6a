"""Repeating a belt run as the next round of its number, on its frozen plan."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError
from django.db.models import Max

from products.configuration import current
from products.identifiers import uuid7
from runs.creation import new_job_run
from runs.edges import repeated_edge
from runs.errors import (
    BeltMissingError,
    NothingToRerunError,
    RunUnfinishedError,
    RunUnresolvedError,
)
from runs.models import BeltRun, Edge, JobRun, RunEvent, Supplier
from runs.release import belt_of, follow_up, look_again, read_run
from runs.states import BeltRunState, JobRunState, Reason
from runs.transitions import Why, moving

#: Rounds that are made at the same instant try for the next number.
_TRIES = 20


def rerun_belt_run(
    run: BeltRun,
    *,
    user: Any = None,
    only_failed: bool = False,
    continue_downstream: bool = True,
    by: str = "",
) -> BeltRun:
    """Repeat a belt run that has ended; return the new round.

    It has the same definition, commit, suppliers and parameters. With ``only_failed`` the jobs
    that succeeded are kept with their outputs. Raises RunUnfinishedError, NothingToRerunError, and
    RunUnresolvedError for one that was never run because its inputs name what does not exist.
    """
    present = BeltRun.objects.select_related("belt__product", "definition").get(id=run.id)
    if not present.is_finished:
        raise RunUnfinishedError(present)
    if only_failed and present.state == BeltRunState.SUCCEEDED:
        raise NothingToRerunError(present)
    _check_resolved(present)
    name = by or (user.get_username() if user is not None else "") or "somebody"
    for _ in range(_TRIES):
        again = _round(present, user, name, continue_downstream=continue_downstream)
        try:
            _insert(present, again, name, only_failed=only_failed)
        except IntegrityError:
            continue
        again.refresh_from_db()
        return again
    raise RunUnfinishedError(present)


def _check_resolved(run: BeltRun) -> None:
    """Raise RunUnresolvedError where jobs ended as errored with the creation of the run."""
    born = RunEvent.objects.filter(belt_run=run, old="", new=JobRunState.ERRORED)
    sentences = list(born.order_by("id").values_list("message", flat=True))
    if sentences:
        raise RunUnresolvedError(run, sentences)


def _round(run: BeltRun, user: Any, name: str, *, continue_downstream: bool) -> BeltRun:
    rounds = BeltRun.objects.filter(belt_id=run.belt_id, number=run.number)
    newest = rounds.aggregate(newest=Max("round"))["newest"] or run.round
    return BeltRun(
        id=uuid7(),
        belt=run.belt,
        definition=run.definition,
        number=run.number,
        round=newest + 1,
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
        tainted=run.tainted,
        parameters=run.parameters,
        continue_downstream=continue_downstream,
    )


def _insert(run: BeltRun, again: BeltRun, name: str, *, only_failed: bool) -> None:
    belt = belt_of(run)
    if belt is None:
        raise BeltMissingError(run.belt.product.name, run.belt.name, [], run.commit)
    with moving(again.id, is_new=True) as moves:
        again.save(force_insert=True)
        moves.begun(Why(Reason.CREATED, again.cause, name))
        former = {job_run.name: job_run for job_run in JobRun.objects.filter(belt_run=run)}
        rows = []
        configuration = current()
        for position, job in enumerate(belt.jobs):
            job_run = new_job_run(again, job, position, configuration)
            rows.append(_first(job_run, former.get(job.name), only_failed=only_failed))
        moves.insert(rows)
        suppliers = _copied_suppliers(run, [row[0] for row in rows if not row[0].reused_from_id])
        Supplier.objects.bulk_create(suppliers)
        Edge.objects.bulk_create(
            repeated_edge(each, again.id, continue_downstream=again.continue_downstream)
            for each in run.edges.all()
        )
        follow_up(moves, read_run(again.id))
        if suppliers:
            moves.then(look_again(again.id, delay_s=1))


def _first(
    job_run: JobRun, former: JobRun | None, *, only_failed: bool
) -> tuple[JobRun, JobRunState, Why]:
    if only_failed and former is not None and former.state == JobRunState.SUCCEEDED:
        job_run.reused_from_id = former.reused_from_id or former.id
        sentence = f"Kept from round {former.belt_run.round}."
        return job_run, JobRunState.SUCCEEDED, Why(Reason.REUSED, sentence)
    return job_run, JobRunState.WAITING, Why(Reason.CREATED)


def _copied_suppliers(run: BeltRun, job_runs: list[JobRun]) -> list[Supplier]:
    by_name = {job_run.name: job_run for job_run in job_runs}
    former = Supplier.objects.filter(consumer__belt_run=run).select_related("consumer")
    return [
        Supplier(
            id=uuid7(),
            consumer=by_name[each.consumer.name],
            product_name=each.product_name,
            belt_name=each.belt_name,
            job_name=each.job_name,
            belt_run_id=each.belt_run_id,
            how=each.how,
            note=each.note,
        )
        for each in former.order_by("id")
        if each.consumer.name in by_name
    ]
