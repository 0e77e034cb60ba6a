"""From a claim to everything that is needed to run it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast
from uuid import UUID

from belts.definitions import spec_of
from belts.spec.references import (
    Reference,
    job_references,
    parse_reference,
    rewritten,
    substitute,
)
from belts.spec.shapes import JobSpec
from products.configuration import current
from products.credentials import OpenedCredential, open_for_job
from products.models import Configuration, Product
from runners.errors import SetupError
from runners.executor.shapes import (
    Isolation,
    JobAssignment,
    Limits,
    OutputWord,
    SecretFile,
    Shell,
    Timing,
)
from runners.fleets import FleetFacts, fleet_facts
from runners.process import guard
from runners.process.plan import RunnerPlan, SlotPlace
from runners.process.slot_line import SlotLine
from runners.sources import checkout_for, tag_of
from runs.attempts import Claim, place_of_attempt
from runs.models import BeltRun, Consumption
from runs.release import frozen_run
from runs.transitions import JobKey

#: So many belt runs are kept; a slot works on few at a time.
_KEPT_RUNS = 32
#: Seconds for which the site's configuration and fleets are not read again.
_FRESH_S = 5.0


@dataclass(frozen=True, slots=True)
class JobPlan:
    """A job of a belt file, with what follows from it and never changes."""

    job: JobSpec
    script: str
    post_run: str
    has_references: bool

    @classmethod
    def of(cls, job: JobSpec) -> JobPlan:
        """Return the plan of a job, its scripts with variables in the place of references."""
        pre_run, commands, post_run = rewritten(job)
        script = "\n".join(part for part in (pre_run, commands) if part)
        return cls(job, script, post_run, bool(job_references(job)))


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the jobs of a belt run have in common; fixed when the run was created.

    Whether the run is tainted may change: the claim has that.
    """

    belt_run: BeltRun
    jobs: Mapping[str, JobPlan]

    @property
    def product(self) -> Product:
        """Return the product that the run belongs to."""
        return self.belt_run.belt.product


@dataclass(slots=True)
class Workbench:
    """What a slot keeps from one job to the next."""

    plan: RunnerPlan
    place: SlotPlace
    line: SlotLine
    _runs: dict[UUID, RunFacts] = field(default_factory=dict)
    _read_at: float = float("-inf")
    _configuration: Configuration = field(default_factory=Configuration)
    _fleets: Mapping[str, FleetFacts] = field(default_factory=dict)

    def run(self, belt_run_id: UUID) -> RunFacts:
        """Return the facts of a belt run, read at most once while a slot works on it."""
        facts = self._runs.get(belt_run_id)
        if facts is None:
            while len(self._runs) >= _KEPT_RUNS:
                del self._runs[next(iter(self._runs))]
            facts = self._runs[belt_run_id] = _read_run(belt_run_id)
        return facts

    def site(self) -> tuple[Configuration, Mapping[str, FleetFacts]]:
        """Return the site's configuration and the facts of the runner's fleets, by queue."""
        if guard.now() - self._read_at > _FRESH_S:
            self._configuration = current()
            self._fleets = fleet_facts(self.plan.queues)
            self._read_at = guard.now()
        return self._configuration, self._fleets


def _read_run(belt_run_id: UUID) -> RunFacts:
    belt_run = frozen_run(belt_run_id)
    belt = spec_of(belt_run.definition).belt(belt_run.belt.name)
    jobs = {job.name: JobPlan.of(job) for job in belt.jobs} if belt is not None else {}
    return RunFacts(belt_run, jobs)


def build_assignment(claim: Claim, bench: Workbench) -> JobAssignment:
    """Return what the claimed attempt needs, with its source fetched to this machine.

    Raises SetupError with the sentence for the job's log, InterruptedAsideError when the attempt
    was ordered to end meanwhile, and errors of the database.
    """
    place = place_of_attempt(claim.attempt_id)
    if place is None:
        raise SetupError("This run was removed meanwhile.", reason="internal")
    run = bench.run(place.belt_run_id)
    plan = _plan_of(run, place.key.name)
    job = plan.job
    configuration, fleets = bench.site()
    fleet = fleets.get(place.key.queue, FleetFacts())
    _refuse_stranger(run.product, fleet)
    secrets = _Secrets.of(_credentials(run, job, claim))
    return JobAssignment(
        attempt_id=str(claim.attempt_id),
        work_dir=str(bench.plan.work_dir),
        path=fleet.job_path or bench.plan.job_path,
        isolation=_isolation(bench, fleet, claim),
        shell=cast("Shell", job.shell),
        script=plan.script,
        post_run=plan.post_run,
        facts=_facts(run, place.key, claim),
        environment={**_environment(run, plan, claim.job_run_id), **secrets.variables},
        secret_values=secrets.values,
        secret_files=secrets.files,
        checkout=checkout_for(run.belt_run, bench) if job.wants_source else None,
        leaves_out_source=bool(run.belt_run.commit) and not job.wants_source,
        working_directory=job.working_directory,
        outputs=tuple(OutputWord(each.name, each.value) for each in job.outputs),
        timeout_s=float(place.timeout_s),
        post_run_timeout_s=float(job.post_run_timeout_s),
        limits=Limits(log_bytes=configuration.log_limit_bytes),
        timing=_timing(bench.plan.times),
    )


def _plan_of(run: RunFacts, name: str) -> JobPlan:
    plan = run.jobs.get(name)
    if plan is None:
        raise SetupError(
            f"The definition of this run has no job {name}. Start the belt again.",
            reason="internal",
        )
    return plan


def _refuse_stranger(product: Product, fleet: FleetFacts) -> None:
    if fleet.products is not None and product.id not in fleet.products:
        raise SetupError(
            f"The fleet {fleet.name} does not work for {product.name}. Name another queue, or ask "
            "an administrator to add the product to the fleet."
        )


def _isolation(bench: Workbench, fleet: FleetFacts, claim: Claim) -> Isolation:
    isolation = Isolation(level="none") if fleet.root_jobs else bench.plan.isolation_of(bench.place)
    if claim.is_tainted and isolation.level == "none":
        raise SetupError(
            "This run has code or values of a fork in it, so its jobs are run in isolation only. "
            "This runner does not isolate jobs. Give the job a queue whose runners are root or "
            "have bubblewrap."
        )
    return isolation


def _timing(times: Mapping[str, float]) -> Timing:
    return Timing(
        orders_s=min(1.0, times["alive"]),
        silence_term_s=times["silence_term"],
        silence_kill_s=times["silence_kill"],
        grace_s=times["kill_grace"],
    )


# --- Variables ------------------------------------------------------------------------------------
def _facts(run: RunFacts, job_run: JobKey, claim: Claim) -> dict[str, str]:
    """Return what the platform tells a job of itself, by the names after ``CONVEYOR_``."""
    belt_run = run.belt_run
    return {
        "PRODUCT": run.product.name,
        "BELT": belt_run.belt.name,
        "JOB": job_run.name,
        "QUEUE": job_run.queue,
        "NUMBER": str(belt_run.number),
        "ROUND": str(belt_run.round),
        "RUN_ID": str(belt_run.id),
        "JOB_RUN_ID": str(claim.job_run_id),
        "ATTEMPT_NUMBER": str(claim.number),
        "COMMIT": belt_run.commit,
        "REF": belt_run.ref,
        "BRANCH": belt_run.branch,
        "TAG": tag_of(belt_run),
        "CAUSE": belt_run.cause,
    }


def _environment(run: RunFacts, plan: JobPlan, job_run_id: UUID) -> dict[str, str]:
    """Return the belt's and job's ``env``, the run's parameters and the consumed values."""
    consumed: list[tuple[str, str, str]] = []
    if plan.has_references:
        rows = Consumption.objects.filter(consumer_id=job_run_id)
        consumed = list(rows.values_list("reference", "variable", "value"))
    values: dict[Reference, str] = {}
    for text, _, value in consumed:
        reference = parse_reference(f"${{{text}}}")
        if reference is not None:
            values[reference] = value
    return {
        **{name: substitute(text, values) for name, text in plan.job.env.items()},
        **{name: str(text) for name, text in run.belt_run.parameters.items()},
        **{variable: value for _, variable, value in consumed},
    }


# --- Credentials ----------------------------------------------------------------------------------
def _credentials(run: RunFacts, job: JobSpec, claim: Claim) -> list[OpenedCredential]:
    if not job.credentials:
        return []
    if claim.is_tainted:
        raise SetupError(
            f"The job names credentials ({', '.join(job.credentials)}). This run has code or "
            "values of a fork in it, so it gets none.",
            reason="credential-missing",
        )
    return open_for_job(run.product, job.credentials)


@dataclass(frozen=True, slots=True)
class _Secrets:
    """Credentials in the forms in which a job receives them."""

    variables: dict[str, str] = field(repr=False)
    values: tuple[bytes, ...] = field(repr=False)
    files: tuple[SecretFile, ...] = field(repr=False)

    @classmethod
    def of(cls, opened: list[OpenedCredential]) -> _Secrets:
        variables: dict[str, str] = {}
        files = []
        for each in opened:
            if each.kind in ("file", "ssh-key"):
                name = each.variable.lower()
                files.append(SecretFile(name, each.variable, each.value.encode()))
                continue
            variables[each.variable] = each.value
            if each.kind == "git":
                variables[f"{each.variable}_USERNAME"] = each.username
        return cls(variables, tuple(each.value.encode() for each in opened), tuple(files))
