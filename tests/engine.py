"""The engine as a test drives it: belts from text, a worker without a process, time, deliveries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from textwrap import dedent
from typing import Any
from uuid import UUID, uuid4

from django.apps import apps
from django.db import models
from django.db.models import F
from django.db.models.functions import Now

from belts.definitions import publish, store_definition
from belts.models import Belt
from belts.spec import parse_belt_text
from conveyor_site.deliver import deliver
from products.identifiers import uuid7
from products.models import OutboxRow, Product
from products.statements import update_where
from runners.protocol import PROTOCOL
from runs.attempts import Claim, NextClaim, RunnerFacts, claim_job_run
from runs.begin import start_attempt
from runs.finish import AttemptEnd, Finished, finish_attempt
from runs.models import Attempt, BeltRun, Edge, JobRun, Output
from runs.start import start_belt_run

QUEUES = ("default",)
#: Maximum number of rounds in which rows that make other rows are delivered.
_ROUNDS = 50


# Belts


def publish_text(text: str) -> Product:
    """Publish a belt file, indented as the test is; return its product, which has no source."""
    parsed = parse_belt_text(dedent(text))
    assert parsed.file is not None, parsed.problems
    product, _ = Product.objects.get_or_create(name=parsed.file.product)
    publish(product, store_definition(product, parsed.file))
    return product


def belt_named(name: str) -> Belt:
    """Return the belt ``product.belt``."""
    product, belt = name.split(".")
    found: Belt = Belt.objects.select_related("product").get(product__name=product, name=belt)
    return found


def start(name: str, **how: Any) -> BeltRun:
    """Start the belt ``product.belt``; return the run."""
    return start_belt_run(belt_named(name), **{"by": "a test", **how})


def start_text(text: str, **how: Any) -> BeltRun:
    """Publish a belt file and start its first belt."""
    product = publish_text(text)
    first = Belt.objects.filter(product=product, archived_at=None).order_by("position").first()
    assert first is not None
    return start(f"{product}.{first.name}", **how)


# What is there


def job_of(run: BeltRun, name: str) -> JobRun:
    """Return the job run as it is now."""
    return JobRun.objects.get(belt_run=run, name=name)


def states(run: BeltRun) -> dict[str, str]:
    """Return the states of the run's job runs by name, in order."""
    return dict(run.job_runs.order_by("position").values_list("name", "state"))


def state(run: BeltRun) -> str:
    """Return the present state of the belt run."""
    found: str = BeltRun.objects.values_list("state", flat=True).get(id=run.id)
    return found


def values_of(run: BeltRun, job: str) -> dict[str, str]:
    """Return what the job handed on, by name."""
    return dict(Output.objects.filter(job_run=job_of(run, job)).values_list("name", "value"))


def consumed(run: BeltRun, job: str) -> dict[str, str]:
    """Return what the job received, by the text of the reference."""
    return dict(job_of(run, job).consumed.values_list("reference", "value"))


def edge_of(run: BeltRun, name: str) -> Edge:
    """Return the run's edge to ``product.belt`` as it is now."""
    product, belt = name.split(".")
    return Edge.objects.get(upstream=run, product_name=product, belt_name=belt)


def runs_of(name: str) -> list[BeltRun]:
    """Return the runs of ``product.belt``, oldest first."""
    product, belt = name.split(".")
    return list(BeltRun.objects.filter(belt__product__name=product, belt__name=belt).order_by("id"))


# A worker


@dataclass
class Worker:
    """Claims and ends job runs as a slot does, without executing anything."""

    queues: Sequence[str] = QUEUES
    protocol: int = PROTOCOL
    id: UUID = field(default_factory=uuid7)
    boot_id: UUID = field(default_factory=uuid4)
    name: str = "worker"

    @property
    def facts(self) -> RunnerFacts:
        """Return the state of the engine."""
        return RunnerFacts(self.id, self.name, self.boot_id, self.protocol)

    def claim(self, job_run: JobRun | None = None, *, nonce: UUID | None = None) -> Claim | None:
        """Claim that job run, or the oldest."""
        return claim_job_run(
            self.facts,
            queues=self.queues,
            nonce=nonce or uuid7(),
            job_run_id=job_run.id if job_run is not None else None,
        )

    def claimed(self, run: BeltRun, job: str) -> UUID:
        """Claim a job that can be claimed; return its attempt."""
        claim = self.claim(job_of(run, job))
        assert claim is not None, f"{job} cannot be claimed: {states(run)}"
        return claim.attempt_id

    def begun(self, run: BeltRun, job: str) -> UUID:
        """Claim and start a job that can be claimed; return its attempt."""
        attempt_id = self.claimed(run, job)
        assert start_attempt(attempt_id, isolation="uid")
        return attempt_id

    def start(self, claim: Claim) -> bool:
        """Start what was claimed; return whether it may be executed."""
        return start_attempt(claim.attempt_id, isolation="uid")

    def end(self, attempt_id: UUID, outcome: str = "succeeded", **facts: Any) -> Finished:
        """End an attempt; ``facts`` as those of AttemptEnd."""
        return finish_attempt(attempt_id, an_end(outcome, **facts))

    def do(self, run: BeltRun, job: str, outcome: str = "succeeded", **outputs: str) -> UUID:
        """Claim, start and end a job; return the attempt."""
        attempt_id = self.begun(run, job)
        assert self.end(attempt_id, outcome, outputs=outputs).stored
        return attempt_id

    def wish(self) -> NextClaim:
        """Return the wish for another job run."""
        return NextClaim(self.facts, list(self.queues), uuid7())


_REASONS = {"succeeded": "finished", "failed": "exit-status", "cancelled": "cancel-requested"}


def an_end(outcome: str = "succeeded", **facts: Any) -> AttemptEnd:
    """Return an end with the usual reason of its outcome."""
    reason = facts.pop("reason", _REASONS.get(outcome, "setup"))
    code = {"succeeded": 0, "failed": 1}.get(outcome)
    return AttemptEnd(
        outcome,
        reason,
        **{"message": f"It {outcome}.", "exit_code": code, **facts},
    )


def work_off(
    worker: Worker,
    outputs: Callable[[str], Mapping[str, str]] = lambda _job: {},
    *,
    deliveries: bool = True,
) -> int:
    """Let every job succeed until nothing is left to do; return how many there were."""
    done = 0
    while True:
        claim = worker.claim()
        if claim is None and not (deliveries and deliver_all()):
            return done
        if claim is not None:
            assert start_attempt(claim.attempt_id, isolation="uid")
            name = JobRun.objects.values_list("name", flat=True).get(id=claim.job_run_id)
            worker.end(claim.attempt_id, outputs=outputs(name))
            done += 1


# Time and deliveries


def deliver_all() -> int:
    """Deliver all that is in the outbox, due or not, and what that makes; return how much."""
    delivered = 0
    for _ in range(_ROUNDS):
        kinds = dict(OutboxRow.objects.order_by("id").values_list("id", "kind"))
        others = [row_id for row_id, kind in kinds.items() if kind != OutboxRow.Kind.HINT]
        if len(others) < len(kinds):
            OutboxRow.objects.filter(kind=OutboxRow.Kind.HINT).delete()
        if not others:
            return delivered
        OutboxRow.objects.update(due_at=Now() - timedelta(seconds=1), claimed_until=None)
        done = sum(deliver(row_id) for row_id in others)
        delivered += done
        if not done:
            return delivered
    raise AssertionError("The outbox does not become empty.")


def pass_time(seconds: float, *, only: Sequence[type[models.Model]] = ()) -> None:
    """Advance the database's clock: all rows become older by that time."""
    for model in only or _models():
        moments = [
            each.name for each in model._meta.fields if isinstance(each, models.DateTimeField)
        ]
        if moments:
            earlier = {name: F(name) - timedelta(seconds=seconds) for name in moments}
            update_where(model, {}, earlier)


def _models() -> list[type[models.Model]]:
    ours = ("products", "belts", "runs", "runners")
    return [model for app in ours for model in apps.get_app_config(app).get_models()]


def attempt(attempt_id: UUID) -> Attempt:
    """Return the attempt as it is now."""
    found: Attempt = Attempt.objects.get(id=attempt_id)
    return found
