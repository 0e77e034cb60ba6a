"""The rules of a belt run, written a second time: everything is looked at after every step.

Nothing here is shared with the engine, so that what both have in common is no mistake of one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

SUPPLIERS = ("make.one", "make.two", "bake.one")
FINAL = ("succeeded", "failed", "errored", "cancelled", "skipped")
BAD = ("failed", "errored", "cancelled", "skipped")
CLAIMED = ("starting", "running")
ENDS = ("success", "failure", "cancelled")
#: What ``on`` of a downstream calls the end of a belt run.
END_OF = {
    "succeeded": "success",
    "failed": "failure",
    "errored": "failure",
    "cancelled": "cancelled",
}
#: An attempt that never started is replaced so often in a job run.
REPLACEMENTS = 20


@dataclass(frozen=True)
class PlainJob:
    """A job: what it needs, its suppliers with the key that names them, and further attempts."""

    name: str
    needs: tuple[str, ...]
    suppliers: tuple[str, ...]
    place: str
    retries: int


@dataclass(frozen=True)
class PlainEdge:
    """A downstream belt: after these jobs have succeeded, or after these ends of the belt."""

    belt: str
    after: tuple[str, ...]
    on: tuple[str, ...]


def to_yaml(jobs: Sequence[PlainJob], downstreams: Sequence[PlainEdge]) -> str:
    """Return the belt file of ``site.build``."""
    lines = ["product: site", "belts:", "  - name: build"]
    after_belt = [f"{{{_to(each)}, on: [{', '.join(each.on)}]}}" for each in downstreams if each.on]
    lines += [f"    downstreams: [{', '.join(after_belt)}]"] if after_belt else []
    lines.append("    jobs:")
    for job in jobs:
        after = [f"{{{_to(each)}}}" for each in downstreams if job.name in each.after]
        lines.append(f"      - {{{', '.join(_entry(job, after))}}}")
    return "\n".join(lines)


def _to(edge: PlainEdge) -> str:
    return f"downstream-product: nowhere, belts: {edge.belt}"


def _entry(job: PlainJob, downstreams: Sequence[str]) -> Iterator[str]:
    supplied = [f"{{from: lib.{each}, build: last}}" for each in job.suppliers]
    values = [f"${{lib.{each}.FILE}}" for each in job.suppliers]
    yield f"name: {job.name}"
    yield f"retry: {job.retries}"
    yield f"inputs: [{', '.join([*job.needs, *supplied])}]"
    if job.place == "env":
        variables = [f"V{n}: '{each}'" for n, each in enumerate(values)]
        yield f"env: {{{', '.join(variables)}}}"
    elif values:
        yield f"{job.place}: 'use {' '.join(values)}'"
    if job.place != "commands" or not values:
        yield "commands: 'true'"
    if downstreams:
        yield f"downstreams: [{', '.join(downstreams)}]"


@dataclass
class PlainBelt:
    """A belt run; ``cancelled`` are the jobs whose cancel was asked for."""

    jobs: Sequence[PlainJob]
    downstreams: Sequence[PlainEdge]
    states: dict[str, str] = field(default_factory=dict)
    suppliers: dict[str, str] = field(default_factory=lambda: dict.fromkeys(SUPPLIERS, "queued"))
    edge_states: dict[str, str] = field(default_factory=dict)
    made: Counter[str] = field(default_factory=Counter)
    replaced: Counter[str] = field(default_factory=Counter)
    cancelled: set[str] = field(default_factory=set)

    def again(self, *, only_failed: bool, continue_downstream: bool) -> PlainBelt:
        """Return how a repeat begins, with the same suppliers."""
        kept = {
            name: each for name, each in self.states.items() if only_failed and each == "succeeded"
        }
        first = "open" if continue_downstream else "closed"
        return PlainBelt(
            self.jobs,
            self.downstreams,
            states={job.name: kept.get(job.name, "waiting") for job in self.jobs},
            suppliers=self.suppliers,
            edge_states=dict.fromkeys((each.belt for each in self.downstreams), first),
        )

    # --- What follows -----------------------------------------------------------------------------
    def settle(self) -> None:
        """Move waiting jobs until none can move, then the edges."""
        for job in self.jobs:
            self.states.setdefault(job.name, "waiting")
        while any([self._move(job) for job in self.jobs if self.states[job.name] == "waiting"]):
            pass
        for edge in self.downstreams:
            if self.edge_states.get(edge.belt, "open") == "open":
                self.edge_states[edge.belt] = self._edge(edge)

    def _move(self, job: PlainJob) -> bool:
        needs = [self.states[name] for name in job.needs]
        supplies = [self.suppliers[name] for name in job.suppliers]
        if any(each in BAD for each in needs):
            self.states[job.name] = "skipped"
        elif all(each == "succeeded" for each in needs) and all(each in FINAL for each in supplies):
            is_whole = all(each == "succeeded" for each in supplies)
            self.states[job.name] = "queued" if is_whole else "errored"
        return self.states[job.name] != "waiting"

    def _edge(self, edge: PlainEdge) -> str:
        if edge.after and all(self.states[name] == "succeeded" for name in edge.after):
            return "fired"
        if self.belt_state == "unfinished":
            return "open"
        return "fired" if END_OF[self.belt_state] in edge.on else "closed"

    @property
    def belt_state(self) -> str:
        """Return the state of the belt run."""
        present = set(self.states.values())
        if not present <= set(FINAL):
            return "unfinished"
        worst = [each for each in ("errored", "failed", "cancelled") if each in present]
        return worst[0] if worst else "succeeded"

    # --- Steps ------------------------------------------------------------------------------------
    def cancel(self, name: str | None) -> None:
        """Ask for the cancel of a job or of all; what no runner has ends at once."""
        for each, stands in self.states.items():
            if stands not in FINAL and name in (None, each):
                self.cancelled.add(each)
                self.states[each] = stands if stands in CLAIMED else "cancelled"

    def move_claimed(self, name: str, what: str) -> None:
        """Move a job that a runner has: by its start, an end, its return or its loss."""
        is_started = self.states[name] == "running"
        if what == "start":
            self.states[name] = "cancelled" if name in self.cancelled else "running"
        elif name in self.cancelled:
            self.states[name] = what if what in ("succeeded", "failed") else "cancelled"
        elif what in ("lost", "given back") and not is_started:
            self.replaced[name] += 1
            is_over = self.replaced[name] > REPLACEMENTS
            self.states[name] = "errored" if is_over else "queued"
        else:
            self.made[name] += 1
            retries = next(job.retries for job in self.jobs if job.name == name)
            # ``retry`` covers failures and errors of the set-up by default.
            is_again = what in ("failed", "errored") and self.made[name] <= retries
            outcome = "errored" if what == "lost" else what
            self.states[name] = "queued" if is_again else outcome
