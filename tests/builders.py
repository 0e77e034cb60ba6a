"""Builders of rows: each makes what it needs, and a test says only what it is about.

They insert rows directly and run no verb, so a state may be built that takes long to reach. Names
are unique where the test gives none.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import uuid4

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.utils import timezone

from belts.models import Belt, CommitFile, Definition, Job, Trigger
from belts.spec.shapes import BeltFile, BeltSpec, JobSpec, digest
from products.identifiers import uuid7
from products.models import ApiToken, Credential, Event, Membership, Product, Source
from runners.models import Fleet, Runner
from runs.models import (
    Attempt,
    BeltRun,
    Consumption,
    Edge,
    JobRun,
    LogChunk,
    Output,
    RunEvent,
    Supplier,
)
from runs.states import (
    BELT_FINISHED,
    CLAIMED,
    FINISHED,
    AttemptState,
    BeltRunState,
    JobRunState,
    Reason,
    final_belt_state,
)

_numbers = count(1)
_MOMENT = timedelta(seconds=1)

_REASONS = {
    JobRunState.WAITING: Reason.CREATED,
    JobRunState.QUEUED: Reason.READY,
    JobRunState.STARTING: Reason.CLAIMED,
    JobRunState.RUNNING: Reason.STARTED,
    JobRunState.SUCCEEDED: Reason.FINISHED,
    JobRunState.FAILED: Reason.EXIT_STATUS,
    JobRunState.ERRORED: Reason.RUNNER_LOST,
    JobRunState.CANCELLED: Reason.CANCEL_REQUESTED,
    JobRunState.SKIPPED: Reason.UPSTREAM_FAILED,
}


def _named(name: str | None, stem: str) -> str:
    return name if name is not None else f"{stem}-{next(_numbers)}"


# Who


def a_user(name: str | None = None, *, staff: bool = False, **fields: Any) -> User:
    """Return a user without a password (``client.force_login`` takes it)."""
    return get_user_model().objects.create(
        username=_named(name, "user"), is_staff=staff, is_superuser=staff, **fields
    )


def a_member(product: Product, role: str = "operator", *, name: str | None = None) -> User:
    """Return a user who has that role in the product."""
    user = a_user(name)
    Membership.objects.create(product=product, user=user, role=role)
    return user


def a_token(
    user: User,
    *,
    scopes: Sequence[str] = ("read",),
    products: Sequence[Product] = (),
    days: float = 90,
) -> str:
    """Return the text of a token of ``user``; ``days`` may be negative for one that has ended."""
    text = f"cvy_{uuid4().hex}{uuid4().hex}"
    row = ApiToken.objects.create(
        user=user,
        name=f"token {next(_numbers)}",
        prefix=text[:12],
        digest=hashlib.sha256(text.encode()).hexdigest(),
        scopes=list(scopes),
        expires_at=timezone.now() + timedelta(days=days),
    )
    row.products.set(products)
    return text


# Products


def a_product(name: str | None = None, **fields: Any) -> Product:
    """Return a product; admin-managed unless told otherwise."""
    return Product.objects.create(name=_named(name, "product"), **fields)


def a_source(product: Product | None = None, **fields: Any) -> Source:
    """Return the source of a product."""
    given = {"url": "https://git.example/acme/thing.git", "default_branch": "main", **fields}
    return Source.objects.create(product=product or a_product(), **given)


def a_credential(*products: Product, name: str | None = None, **fields: Any) -> Credential:
    """Return a credential of those products, without a value."""
    credential = Credential.objects.create(name=_named(name, "credential"), **fields)
    credential.products.set(products)
    return credential


def an_event(product: Product | None = None, **fields: Any) -> Event:
    """Return an event: a new commit on the default branch unless told otherwise."""
    commit = hashlib.sha256(str(next(_numbers)).encode()).hexdigest()[:40]
    given = {
        "kinds": ["push", "merge"],
        "key": f"refs/heads/main@{commit}",
        "ref": "refs/heads/main",
        "branch": "main",
        "commit": commit,
        **fields,
    }
    return Event.objects.create(product=product or a_product(), **given)


# Belts


def a_belt(
    name: str | None = None,
    *,
    product: Product | None = None,
    jobs: Sequence[str] = ("compile",),
    **fields: Any,
) -> Belt:
    """Return a belt whose jobs run ``true``, one after the other."""
    belt = Belt.objects.create(product=product or a_product(), name=_named(name, "belt"), **fields)
    for position, job in enumerate(jobs):
        before = [jobs[position - 1]] if position else []
        Job.objects.create(belt=belt, name=job, position=position, inputs=before, commands="true")
    return belt


def a_trigger(product: Product, belts: Sequence[str] = (), **fields: Any) -> Trigger:
    """Return a trigger of the product, by hand unless told otherwise."""
    given = {"kind": Trigger.Kind.MANUAL, **fields}
    return Trigger.objects.create(product=product, belts=list(belts), **given)


def a_definition(
    product: Product, belts: Mapping[str, Sequence[str]] | None = None, *, current: bool = False
) -> Definition:
    """Return the definition with these belts and their jobs by name (one belt when none given).

    The same belts give the same definition, as the database's constraint asks.
    """
    named = belts if belts is not None else {"belt": ("compile",)}
    file = BeltFile(
        product=product.name,
        belts=tuple(
            BeltSpec(name, jobs=tuple(JobSpec(job, commands="true") for job in jobs))
            for name, jobs in named.items()
        ),
    )
    definition, _ = Definition.objects.get_or_create(
        product=product, digest=digest(file), defaults={"document": file.to_document()}
    )
    if current:
        Definition.objects.filter(current_of=product).update(current_of=None)
        definition.current_of = product
        definition.save()
    return definition


def a_commit_file(product: Product, **fields: Any) -> CommitFile:
    """Return what the belt file was at one commit."""
    return CommitFile.objects.create(product=product, **{"commit": uuid4().hex, **fields})


# Runs

Jobs = Mapping[str, str] | Sequence[str]


def a_belt_run(
    jobs: Jobs = ("compile",),
    *,
    belt: Belt | None = None,
    state: str | None = None,
    upstream: BeltRun | None = None,
    **fields: Any,
) -> BeltRun:
    """Return a belt run with a job run for each of ``jobs``: names, or states by name.

    A job without a state is queued if it is the first and waiting if not. The state of the belt
    run follows from its jobs unless given; an upstream run also gives root and depth.
    """
    states = _states(jobs)
    belt = belt or a_belt(jobs=list(states))
    number = fields.pop("number", None) or _next_number(belt)
    chosen = BeltRunState(state) if state else _belt_state(list(states.values()))
    now = timezone.now()
    given: dict[str, Any] = {
        "definition": a_definition(belt.product, {belt.name: list(states)}),
        "cause": "Started by a test.",
        "commit": hashlib.sha256(f"{belt.pk}{number}".encode()).hexdigest()[:40],
        "branch": "main",
        "started_at": None if chosen == BeltRunState.PENDING else now - _MOMENT,
        "finished_at": now if chosen in BELT_FINISHED else None,
    }
    if upstream is not None:
        given |= {"root_id": upstream.root_id_or_own, "depth": upstream.depth + 1}
    run = BeltRun.objects.create(
        belt=belt, number=number, state=chosen, upstream=upstream, **{**given, **fields}
    )
    for position, (name, job_state) in enumerate(states.items()):
        _a_job_of(run, name, position=position, state=job_state)
    return run


def _states(jobs: Jobs) -> dict[str, JobRunState]:
    if isinstance(jobs, Mapping):
        return {name: JobRunState(state) for name, state in jobs.items()}
    return {
        name: JobRunState.WAITING if index else JobRunState.QUEUED
        for index, name in enumerate(jobs)
    }


def _belt_state(states: Sequence[JobRunState]) -> BeltRunState:
    if all(state in FINISHED for state in states):
        return final_belt_state(states)
    begun = any(state in CLAIMED or state in FINISHED for state in states)
    return BeltRunState.RUNNING if begun else BeltRunState.PENDING


def _next_number(belt: Belt) -> int:
    belt.last_number += 1
    belt.save(update_fields=["last_number"])
    return belt.last_number


def _a_job_of(run: BeltRun, name: str, *, state: JobRunState, **fields: Any) -> JobRun:
    now = timezone.now()
    begun = state in CLAIMED or state in FINISHED - {JobRunState.SKIPPED}
    given: dict[str, Any] = {
        "queue": "default",
        "timeout_s": 3600,
        "reason": _REASONS[state],
        "queued_at": None if state == JobRunState.WAITING else now - 2 * _MOMENT,
        "available_at": now - 2 * _MOMENT if state == JobRunState.QUEUED else None,
        "started_at": now - _MOMENT if begun and state != JobRunState.STARTING else None,
        "finished_at": now if state in FINISHED else None,
    }
    job_run = JobRun.objects.create(belt_run=run, name=name, state=state, **{**given, **fields})
    RunEvent.objects.create(belt_run=run, job_run=job_run, new=state, reason=job_run.reason)
    return job_run


def a_job_run(
    state: str = "queued", *, name: str = "compile", belt_run: BeltRun | None = None, **fields: Any
) -> JobRun:
    """Return a job run in that state, in a belt run of its own unless one is given."""
    if belt_run is None:
        belt_run = a_belt_run({name: state})
        JobRun.objects.filter(belt_run=belt_run).update(**fields)
        return JobRun.objects.get(belt_run=belt_run)
    position = fields.pop("position", belt_run.job_runs.count())
    return _a_job_of(belt_run, name, state=JobRunState(state), position=position, **fields)


def a_queued_job_run(*, queue: str = "default", **fields: Any) -> JobRun:
    """Return a job run that may be claimed."""
    return a_job_run("queued", queue=queue, **fields)


def an_attempt(
    job_run: JobRun | None = None,
    state: str = "running",
    *,
    runner: Runner | None = None,
    **fields: Any,
) -> Attempt:
    """Return the next attempt of a job run, by a runner that need not exist."""
    job_run = job_run or a_job_run(state)
    alive = state in ("starting", "running")
    now = timezone.now()
    number = job_run.last_attempt + 1
    given: dict[str, Any] = {
        "nonce": uuid4(),
        "active_key": job_run.id if alive else None,
        "runner_id": runner.id if runner else uuid7(),
        "runner_name": runner.name if runner else "runner",
        "boot_id": runner.boot_id if runner else uuid4(),
        "lease_until": now + timedelta(minutes=1),
        "claimed_at": now - 2 * _MOMENT,
        "started_at": None if state == "starting" else now - _MOMENT,
        "finished_at": None if alive else now,
        "reason": _REASONS[JobRunState(state)],
    }
    attempt = Attempt.objects.create(
        job_run=job_run, number=number, state=AttemptState(state), **{**given, **fields}
    )
    JobRun.objects.filter(pk=job_run.pk).update(last_attempt=number, attempts_made=number)
    job_run.refresh_from_db()
    return attempt


def a_log(attempt: Attempt, *pieces: str | bytes, stream: str = "stdout") -> list[LogChunk]:
    """Append pieces to an attempt's log, each as a chunk; return the chunks."""
    last = LogChunk.objects.filter(attempt=attempt).order_by("-sequence").first()
    sequence = last.sequence + 1 if last else 0
    offset = last.offset + last.size if last else 0
    chunks = []
    for piece in pieces:
        data = piece.encode() if isinstance(piece, str) else piece
        chunks.append(
            LogChunk.objects.create(
                attempt=attempt,
                sequence=sequence,
                stream=stream,
                offset=offset,
                size=len(data),
                compressed=len(data) > 1000,
                data=zlib.compress(data) if len(data) > 1000 else data,
            )
        )
        sequence, offset = sequence + 1, offset + len(data)
    return chunks


def an_output(job_run: JobRun, name: str = "VERSION", value: str = "1.0", **fields: Any) -> Output:
    """Return a value that a job run handed on."""
    return Output.objects.create(job_run=job_run, name=name, value=value, **fields)


def a_consumption(consumer: JobRun, output: Output, **fields: Any) -> Consumption:
    """Return the row that says that ``consumer`` received ``output``."""
    producer = output.job_run
    belt = producer.belt_run.belt
    given = {
        "reference": f"{belt.product.name}.{belt.name}.{producer.name}.{output.name}",
        "variable": f"CONVEYOR_IN_{next(_numbers)}",
        "supplier_label": f"{producer.belt_run}: {producer.name}",
        "value": output.value,
        **fields,
    }
    return Consumption.objects.create(consumer=consumer, output=output, **given)


def a_supplier(consumer: JobRun, belt_run: BeltRun, **fields: Any) -> Supplier:
    """Return the row that says which run supplies a job run."""
    given = {
        "product_name": belt_run.belt.product.name,
        "belt_name": belt_run.belt.name,
        "how": Supplier.How.CHAIN,
        **fields,
    }
    return Supplier.objects.create(consumer=consumer, belt_run=belt_run, **given)


def an_edge(
    upstream: BeltRun, downstream: Belt, *, started: BeltRun | None = None, **fields: Any
) -> Edge:
    """Return an edge from a run to a belt; fired when it has started a run."""
    given: dict[str, Any] = {
        "product_name": downstream.product.name,
        "belt_name": downstream.name,
        "declared": f"downstreams of {upstream.belt}",
        "fired_at": timezone.now() if started else None,
        **fields,
    }
    return Edge.objects.create(upstream=upstream, started=started, **given)


# Runners


def a_fleet(queue: str | None = None, **fields: Any) -> Fleet:
    """Return a fleet with a queue of its own."""
    name = _named(queue, "fleet")
    return Fleet.objects.create(**{"name": name, "queue": name, **fields})


def a_runner(
    name: str | None = None,
    *,
    queues: Sequence[str] = ("default",),
    heartbeat_at: datetime | None = None,
    **fields: Any,
) -> Runner:
    """Return a runner that has just been heard of."""
    now = timezone.now()
    given: dict[str, Any] = {
        "host": "runner.example",
        "boot_id": uuid4(),
        "version": "0.1.0",
        "protocol": 1,
        "slots": 2,
        "isolation": "uid",
        "isolation_report": ["each job has a uid of its own"],
        "started_at": now,
        "heartbeat_at": heartbeat_at or now,
    }
    return Runner.objects.create(
        name=_named(name, "runner"), queues=list(queues), **{**given, **fields}
    )
