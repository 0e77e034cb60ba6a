"""Which waiting jobs of a belt run go on: pure rules."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from belts.spec.graph import topological_order
from runs.states import FINISHED, JobRunState, Reason

logger = logging.getLogger(__name__)

_PAST = {
    JobRunState.FAILED: "failed",
    JobRunState.ERRORED: "could not be run",
    JobRunState.CANCELLED: "was cancelled",
    JobRunState.SKIPPED: "was skipped",
}


class SupplyState(Enum):
    """Where the run stands that supplies another belt's outputs."""

    READY = "ready"
    PENDING = "pending"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Supply:
    """One supplier of a job; ``sentence`` says what is waited for, or why it never comes.

    ``is_tainted`` does not change when the job becomes ready. It changes how the job is run.
    """

    state: SupplyState
    sentence: str = ""
    is_tainted: bool = False


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """A waiting job: what it needs in its own belt run, and from other runs."""

    name: str
    needs: tuple[str, ...] = ()
    supplies: tuple[Supply, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """The next state of a waiting job; WAITING if it continues to wait.

    A job that goes to QUEUED still has to read its inputs, which may end it as errored.
    """

    name: str
    state: JobRunState
    reason: Reason
    sentence: str = ""


def decide(waiting: Sequence[WaitingJob], states: Mapping[str, JobRunState]) -> list[Decision]:
    """Return a decision for each waiting job, in an order in which jobs follow what they need.

    ``states`` are those of all other jobs that are needed, waiting ones among them if they are not
    to be decided. A job with a need that is in neither ends as errored: a caller that read too
    little must never skip a job. A job that is skipped or errored here skips those that need it in
    the same call.
    """
    by_name = {job.name: job for job in waiting}
    known = dict(states)
    decisions = []
    for name in topological_order({job.name: job.needs for job in waiting}):
        decision = _decide(by_name[name], known)
        known[name] = decision.state
        decisions.append(decision)
    return decisions


def _decide(job: WaitingJob, states: Mapping[str, JobRunState]) -> Decision:
    unknown = [name for name in job.needs if name not in states]
    if unknown:
        return Decision(job.name, JobRunState.ERRORED, Reason.INTERNAL, _unknown(unknown))
    needed = {name: states[name] for name in job.needs}
    for name, state in needed.items():
        if state in FINISHED and state != JobRunState.SUCCEEDED:
            sentence = f"This job waits for job {name}, which {_PAST[state]}."
            return Decision(job.name, JobRunState.SKIPPED, Reason.UPSTREAM_FAILED, sentence)
    missing = [each.sentence for each in job.supplies if each.state == SupplyState.MISSING]
    if missing:
        return Decision(job.name, JobRunState.ERRORED, Reason.INPUT_MISSING, " ".join(missing))
    pending = [name for name, state in needed.items() if state != JobRunState.SUCCEEDED]
    waits = [waits_for(pending)] if pending else []
    waits += [each.sentence for each in job.supplies if each.state == SupplyState.PENDING]
    if waits:
        return Decision(job.name, JobRunState.WAITING, Reason.CREATED, " ".join(waits))
    return Decision(job.name, JobRunState.QUEUED, Reason.READY)


def _unknown(names: Sequence[str]) -> str:
    jobs = ", ".join(names)
    logger.error(
        "The state of job %s was not read, so a job that needs it ends as errored.",
        jobs,
        extra={"action": "need_unknown"},
    )
    return f"This is an error of Conveyor: the state of job {jobs} is unknown. Please report it."


def waits_for(names: Iterable[str]) -> str:
    """Return the sentences of a job that waits for these jobs of its belt."""
    return " ".join(f"Waits for job {name}." for name in names)
