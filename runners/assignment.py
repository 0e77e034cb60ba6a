"""From a claim to everything that is needed to run it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from belts.definitions import spec_of
from belts.models import Definition
from belts.spec.references import Reference, parse_reference, rewritten, substitute
from belts.spec.shapes import BeltFile, JobSpec
from products.configuration import current
from products.credentials import OpenedCredential, open_for_job
from products.models import Configuration
from runners.errors import SetupError
from runners.executor.shapes import (
    Isolation,
    JobAssignment,
    Limits,
    OutputWord,
    SecretFile,
    Timing,
)
from runners.fleets import FleetFacts, fleet_facts
from runners.process import guard
from runners.process.plan import RunnerPlan, SlotPlace
from runners.process.slot_line import SlotLine
from runners.sources import checkout_for
from runs.attempts import Claim
from runs.models import JobRun

#: So many belt files are kept, by digest; a runner works on few belts at a time.
_KEPT_FILES = 32
#: Seconds for which the site's configuration and fleets are not read again.
_FRESH_S = 5.0


@dataclass(slots=True)
class Workbench:
    """What a slot keeps from one job to the next."""

    plan: RunnerPlan
    place: SlotPlace
    line: SlotLine
    _files: dict[str, BeltFile] = field(default_factory=dict)
    _read_at: float = float("-inf")
    _configuration: Configuration = field(default_factory=Configuration)
    _fleets: Mapping[str, FleetFacts] = field(default_factory=dict)

    def file_of(self, definition: Definition) -> BeltFile:
        """Return the belt file of a definition, read at most once."""
        file = self._files.get(definition.digest)
        if file is None:
            while len(self._files) >= _KEPT_FILES:
                del self._files[next(iter(self._files))]
            file = self._files[definition.digest] = spec_of(definition)
        return file

    def site(self) -> tuple[Configuration, Mapping[str, FleetFacts]]:
        """Return the site's configuration and the facts of the runner's fleets, by queue."""
        if guard.now() - self._read_at > _FRESH_S:
            self._configuration = current()
            self._fleets = fleet_facts(self.plan.queues)
            self._read_at = guard.now()
        return self._configuration, self._fleets


def build_assignment(claim: Claim, bench: Workbench) -> JobAssignment:
    """Return what the claimed attempt needs, with its source fetched to this machine.

    Raises SetupError with the sentence for the job's log, InterruptedAsideError when the attempt
    was ordered to end meanwhile, and errors of the database.
    """
    job_run = _job_run(claim.job_run_id)
    job = _job_of(job_run, bench)
    configuration, fleets = bench.site()
    fleet = fleets.get(job_run.queue, FleetFacts())
    _refuse_stranger(job_run, fleet)
    secrets = _Secrets.of(_credentials(job_run, job))
    pre_run, commands, post_run = rewritten(job)
    return JobAssignment(
        attempt_id=str(claim.attempt_id),
        work_dir=str(bench.plan.work_dir),
        path=fleet.job_path or bench.plan.job_path,
        isolation=_isolation(bench, fleet),
        shell=job.shell,
        script="\n".join(part for part in (pre_run, commands) if part),
        post_run=post_run,
        facts=_facts(job_run, claim),
        environment={**_environment(job_run, job), **secrets.variables},
        secret_values=secrets.values,
        secret_files=secrets.files,
        checkout=checkout_for(job_run.belt_run, bench) if job.wants_source else None,
        working_directory=job.working_directory,
        outputs=tuple(OutputWord(each.name, each.value) for each in job.outputs),
        timeout_s=float(job_run.timeout_s),
        post_run_timeout_s=float(job.post_run_timeout_s),
        limits=Limits(log_bytes=configuration.log_limit_bytes),
        timing=_timing(bench.plan.times),
    )


def _job_run(job_run_id: UUID) -> JobRun:
    return (
        JobRun.objects.select_related(
            "belt_run__definition", "belt_run__belt__product__source__credential"
        )
        .defer("belt_run__definition__document")
        .get(id=job_run_id)
    )


def _job_of(job_run: JobRun, bench: Workbench) -> JobSpec:
    belt_run = job_run.belt_run
    belt = bench.file_of(belt_run.definition).belt(belt_run.belt.name)
    job = belt.job(job_run.name) if belt is not None else None
    if job is None:
        raise SetupError(
            f"The definition of this run has no job {job_run.name}. Start the belt again.",
            reason="internal",
        )
    return job


def _refuse_stranger(job_run: JobRun, fleet: FleetFacts) -> None:
    product = job_run.belt_run.belt.product
    if fleet.products and product.id not in fleet.products:
        raise SetupError(
            f"The fleet {fleet.name} does not work for {product.name}. Name another queue, or ask "
            "an administrator to add the product to the fleet."
        )


def _isolation(bench: Workbench, fleet: FleetFacts) -> Isolation:
    if fleet.root_jobs:
        return Isolation(level="none")
    return bench.plan.isolation_of(bench.place)


def _timing(times: Mapping[str, float]) -> Timing:
    return Timing(
        orders_s=min(1.0, times["alive"]),
        silence_term_s=times["silence_term"],
        silence_kill_s=times["silence_kill"],
        grace_s=times["kill_grace"],
    )


# --- Variables ------------------------------------------------------------------------------------
def _facts(job_run: JobRun, claim: Claim) -> dict[str, str]:
    """Return what the platform tells a job of itself, by the names after ``CONVEYOR_``."""
    belt_run = job_run.belt_run
    return {
        "PRODUCT": belt_run.belt.product.name,
        "BELT": belt_run.belt.name,
        "JOB": job_run.name,
        "QUEUE": job_run.queue,
        "NUMBER": str(belt_run.number),
        "ROUND": str(belt_run.round),
        "RUN_ID": str(belt_run.id),
        "JOB_RUN_ID": str(job_run.id),
        "ATTEMPT_NUMBER": str(claim.number),
        "COMMIT": belt_run.commit,
        "REF": belt_run.ref,
        "BRANCH": belt_run.branch,
        "CAUSE": belt_run.cause,
    }


def _environment(job_run: JobRun, job: JobSpec) -> dict[str, str]:
    """Return the belt's and job's ``env``, the run's parameters and the consumed values."""
    consumed = list(job_run.consumed.values_list("reference", "variable", "value"))
    values: dict[Reference, str] = {}
    for text, _, value in consumed:
        reference = parse_reference(f"${{{text}}}")
        if reference is not None:
            values[reference] = value
    return {
        "CI": "true",
        **{name: substitute(text, values) for name, text in job.env.items()},
        **{name: str(text) for name, text in job_run.belt_run.parameters.items()},
        **{variable: value for _, variable, value in consumed},
    }


# --- Credentials ----------------------------------------------------------------------------------
def _credentials(job_run: JobRun, job: JobSpec) -> list[OpenedCredential]:
    if not job.credentials:
        return []
    if job_run.belt_run.tainted:
        raise SetupError(
            f"The job names credentials ({', '.join(job.credentials)}), and this run has code of "
            "a fork in it, which is given none.",
            reason="credential-missing",
        )
    return open_for_job(job_run.belt_run.belt.product, job.credentials)


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
