"""Creation of a belt run. One transaction chooses and freezes all its properties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import IntegrityError
from django.db.models import F, UUIDField

from belts.definitions import spec_of
from belts.models import Belt, Definition
from belts.spec.limits import PROBLEMS
from belts.spec.problems import Problem
from belts.spec.references import job_references
from belts.spec.shapes import BeltSpec, JobSpec
from products.configuration import current
from products.identifiers import uuid7
from products.models import Configuration
from products.statements import Given, Select
from runs.causes import causes_of
from runs.edges import closing_note, plan_edges
from runs.errors import BeltGoneError, BeltMissingError, UnresolvedError
from runs.models import BeltRun, Edge, JobRun, Supplier
from runs.protocol import protocol_of
from runs.readiness import waits_for
from runs.release import follow_up, look_again, read_run
from runs.states import JobRunState, Reason
from runs.suppliers import SupplierChoice, Supply
from runs.taint import inherited_taint
from runs.transitions import Why, moving


@dataclass(frozen=True, slots=True)
class NewRun:
    """What a belt run is made from.

    ``refuse_unresolved`` decides about a belt whose references name nothing. With it an error is
    raised for the caller. Without it, where no caller waits, the run ends as errored at once.
    """

    belt: Belt
    definition: Definition
    cause: str
    by: str = ""
    commit: str = ""
    ref: str = ""
    branch: str = ""
    source_url: str = ""
    on_default_branch: bool = True
    tainted: bool = False
    event_id: UUID | None = None
    upstream: BeltRun | None = None
    user: Any = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    continue_downstream: bool = True
    is_of_pull_request: bool = False
    refuse_unresolved: bool = False


def create_belt_run(new: NewRun) -> BeltRun:
    """Return the belt run that ``new`` makes, or the one that the same cause has made already.

    Raises BeltMissingError, BeltGoneError, and UnresolvedError where that is asked for.
    """
    file = spec_of(new.definition)
    belt = file.belt(new.belt.name)
    if belt is None:
        names = [each.name for each in file.belts]
        raise BeltMissingError(new.belt.product.name, new.belt.name, names, new.commit)
    made = _made_already(new)
    if made is not None:
        return made
    choice = SupplierChoice(file, belt, causes_of(new.upstream))
    chosen = _chosen(choice, belt)
    problems = _problems(chosen)
    if problems and new.refuse_unresolved:
        every = [problem for each in problems.values() for problem in each]
        raise UnresolvedError(f"{new.belt}", every)
    try:
        run = _insert(new, belt, chosen, problems)
    except IntegrityError:
        made = _made_already(new)
        if made is None:
            raise
        return made
    return run


def _made_already(new: NewRun) -> BeltRun | None:
    """Return the run that the same event or upstream run has made of the belt."""
    if new.event_id is not None:
        # The later rounds of a run have its event as well.
        runs = BeltRun.objects.filter(event_id=new.event_id, belt=new.belt)
        return runs.order_by("round").first()
    if new.upstream is not None:
        return BeltRun.objects.filter(upstream=new.upstream, belt=new.belt).first()
    return None


Chosen = Mapping[str, "list[Supply] | list[Problem]"]


def _chosen(choice: SupplierChoice, belt: BeltSpec) -> Chosen:
    """Return the suppliers of each job, or its problems, of which there are not too many in all.

    One problem keeps the whole belt from running, so what comes after many is not looked at.
    """
    chosen: dict[str, list[Supply] | list[Problem]] = {}
    found = 0
    for job in belt.jobs:
        chosen[job.name] = choice.of(job) if found < PROBLEMS else []
        found += sum(isinstance(each, Problem) for each in chosen[job.name])
    return chosen


def _problems(chosen: Chosen) -> dict[str, list[Problem]]:
    return {
        name: [each for each in found if isinstance(each, Problem)]
        for name, found in chosen.items()
        if any(isinstance(each, Problem) for each in found)
    }


def _insert(
    new: NewRun, belt: BeltSpec, chosen: Chosen, problems: Mapping[str, list[Problem]]
) -> BeltRun:
    run_id = uuid7()
    with moving(run_id, is_new=True) as moves:
        # Taking the belt's row first puts the creations of its runs in turn.
        counted = Belt.objects.filter(pk=new.belt.pk).update(last_number=F("last_number") + 1)
        if not counted:
            raise BeltGoneError(f"{new.belt}")
        [number] = _NUMBER.row(belt=new.belt.pk)
        run = _belt_run(run_id, new, number)
        run.tainted = new.tainted or _inherits_taint(new, chosen)
        moves.begin(run, Why(Reason.CREATED, new.cause, new.by))
        rows = _job_runs(run, belt, chosen, problems)
        moves.insert(rows)
        closed = closing_note(
            continue_downstream=new.continue_downstream, is_of_pull_request=new.is_of_pull_request
        )
        edges = plan_edges(run_id, new.belt.product.name, belt, closed=closed)
        Edge.objects.bulk_create(edges)
        suppliers = _suppliers([row[0] for row in rows], chosen)
        Supplier.objects.bulk_create(suppliers)
        if any(state != JobRunState.QUEUED for _, state, _ in rows):
            follow_up(moves, read_run(run_id))
        if suppliers:
            # A supplier that ends at this very moment may not see who waits for it.
            moves.then(look_again(run_id, delay_s=1))
    run.refresh_from_db()
    return run


_NUMBER = Select(
    lambda: Belt.objects.filter(id=Given("belt", UUIDField())).order_by().values_list("last_number")
)


def _belt_run(run_id: UUID, new: NewRun, number: int) -> BeltRun:
    upstream = new.upstream
    return BeltRun(
        id=run_id,
        belt=new.belt,
        definition=new.definition,
        number=number,
        event_id=new.event_id,
        upstream=upstream,
        started_by=new.user if getattr(new.user, "pk", None) else None,
        cause=new.cause[:500],
        root_id=upstream.root_id_or_own if upstream else None,
        depth=upstream.depth + 1 if upstream else 0,
        source_url=new.source_url,
        commit=new.commit,
        ref=new.ref,
        branch=new.branch,
        on_default_branch=new.on_default_branch,
        parameters=dict(new.parameters),
        continue_downstream=new.continue_downstream,
    )


def _inherits_taint(new: NewRun, chosen: Chosen) -> bool:
    """Return whether a supplier or the upstream run is tainted.

    A supplier that is marked later is seen when its values are copied.
    """
    supplies = [each for found in chosen.values() for each in found if isinstance(each, Supply)]
    if any(each.run is not None and each.run.tainted for each in supplies):
        return True
    return new.upstream is not None and inherited_taint(new.upstream.id)


def _job_runs(
    run: BeltRun, belt: BeltSpec, chosen: Chosen, problems: Mapping[str, list[Problem]]
) -> list[tuple[JobRun, JobRunState, Why]]:
    configuration = current()
    rows = []
    for position, job in enumerate(belt.jobs):
        job_run = new_job_run(run, job, position, configuration)
        state, why = _first_state(job, chosen[job.name], problems)
        rows.append((job_run, state, why))
    return rows


def _first_state(
    job: JobSpec, chosen: Sequence[Any], problems: Mapping[str, list[Problem]]
) -> tuple[JobRunState, Why]:
    if job.name in problems:
        sentences = " ".join(f"{each.message} {each.hint}".strip() for each in problems[job.name])
        return JobRunState.ERRORED, Why(Reason.INPUT_MISSING, sentences)
    if problems:
        names = ", ".join(problems)
        sentence = f"Nothing was run, because the inputs of job {names} name what does not exist."
        return JobRunState.SKIPPED, Why(Reason.UPSTREAM_FAILED, sentence)
    if job.needs or chosen or job_references(job):
        return JobRunState.WAITING, Why(Reason.CREATED, waits_for(job.needs))
    return JobRunState.QUEUED, Why(Reason.READY)


def new_job_run(run: BeltRun, job: JobSpec, position: int, configuration: Configuration) -> JobRun:
    """Return the row of a job run, not inserted and without a state of its own yet."""
    timeout_s = job.timeout_s or configuration.default_timeout_s
    return JobRun(
        id=uuid7(),
        belt_run=run,
        name=job.name,
        position=position,
        needs=list(job.needs),
        queue=job.queue or configuration.default_queue,
        protocol=protocol_of(job),
        timeout_s=min(timeout_s, configuration.max_timeout_s),
    )


def _suppliers(job_runs: Sequence[JobRun], chosen: Chosen) -> list[Supplier]:
    return [
        supplier_row(job_run, supply)
        for job_run in job_runs
        for supply in chosen[job_run.name]
        if isinstance(supply, Supply)
    ]


def supplier_row(job_run: JobRun, supply: Supply) -> Supplier:
    """Return the row, not inserted yet, that freezes a supplier of a job run."""
    return Supplier(
        id=uuid7(),
        consumer=job_run,
        product_name=supply.product,
        belt_name=supply.belt,
        job_name=supply.job,
        belt_run=supply.run,
        how=supply.how,
        note=supply.note[:500],
    )
