"""What a belt file says, as frozen values.

Equal meaning gives equal values: defaults are filled in, lists whose order means nothing are
sorted, and a belt's ``env`` and ``defaults`` are already part of each of its jobs. Every value has
two plain forms: ``to_document`` (canonical, stored and digested) and ``to_yaml_document`` (the
keys of the belt file, for rows that people edit).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from belts.spec.document import dump, restore
from belts.spec.durations import format_duration
from belts.spec.limits import POST_RUN_DEFAULT_S
from belts.spec.names import did_you_mean, quoted
from belts.spec.nodes import Mark

SUCCESS = ("success",)
RETRIED = ("failure", "setup")


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What a job needs: its product's source, a job of its belt, or another belt's outputs.

    ``kind`` is source, job or product. ``build`` is last, last_successful, last_failure, a run's
    number, or None for the rule of the chain.
    """

    kind: str
    product: str | None = None
    belt: str | None = None
    job: str | None = None
    build: str | int | None = None
    branch: str | None = None

    @property
    def name(self) -> str:
        """Return the text that names it in the file."""
        if self.kind == "source":
            return "source"
        return ".".join(part for part in (self.product, self.belt, self.job) if part)

    def to_yaml_document(self) -> str | dict[str, Any]:
        """Return the entry of ``inputs``."""
        chosen = {"build": self.build, "branch": self.branch}
        chosen = {key: value for key, value in chosen.items() if value is not None}
        return {"from": self.name, **chosen} if chosen else self.name


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """A value that a job hands on; ``value`` is a word for its shell, None for the variable."""

    name: str
    type: str = "String"
    value: str | None = None

    def to_yaml_document(self) -> dict[str, str]:
        """Return the entry of ``outputs``."""
        return {self.type: self.name if self.value is None else f"{self.name}={self.value}"}


@dataclass(frozen=True, slots=True)
class DownstreamSpec:
    """Belts that a job or belt starts; ``on`` is of success, failure, cancelled."""

    product: str
    belts: tuple[str, ...]
    on: tuple[str, ...] = SUCCESS

    def to_yaml_document(self) -> dict[str, Any]:
        """Return the entry of ``downstreams``."""
        entry: dict[str, Any] = {"downstream-product": self.product, "belts": list(self.belts)}
        return entry if self.on == SUCCESS else {**entry, "on": list(self.on)}


@dataclass(frozen=True, slots=True)
class RetrySpec:
    """Up to ``max`` further attempts after the ends in ``on``.

    ``on`` is of failure, setup, timeout, runner-lost; ``exit_codes`` narrows failure where given.
    The n-th delay is ``delay_s * backoff ** (n - 1)`` seconds.
    """

    max: int = 0
    on: tuple[str, ...] = RETRIED
    exit_codes: tuple[int, ...] = ()
    delay_s: int = 0
    backoff: float = 1.0

    def to_yaml_document(self) -> int | dict[str, Any]:
        """Return the value of ``retry``."""
        if self == RetrySpec(max=self.max):
            return self.max
        entry: dict[str, Any] = {"max": self.max}
        if self.on != RETRIED:
            entry["on"] = list(self.on)
        if self.exit_codes:
            entry["exit-codes"] = list(self.exit_codes)
        if self.delay_s:
            entry["delay"] = format_duration(self.delay_s)
        if self.backoff != 1.0:
            entry["backoff"] = self.backoff
        return entry


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A job. ``queue`` and ``timeout_s`` are None where the site's defaults hold.

    ``needs`` are the jobs of its belt that must succeed first, from inputs and references.
    """

    name: str
    inputs: tuple[InputSpec, ...] = ()
    queue: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    credentials: tuple[str, ...] = ()
    shell: str = "bash"
    working_directory: str | None = None
    pre_run: str = ""
    commands: str = ""
    post_run: str = ""
    outputs: tuple[OutputSpec, ...] = ()
    downstreams: tuple[DownstreamSpec, ...] = ()
    timeout_s: int | None = None
    post_run_timeout_s: int = POST_RUN_DEFAULT_S
    retry: RetrySpec = RetrySpec()
    needs: tuple[str, ...] = ()

    @property
    def wants_source(self) -> bool:
        """Whether the product's repository is checked out for it."""
        return any(each.kind == "source" for each in self.inputs)

    def output(self, name: str) -> OutputSpec | None:
        """Return the declared output of that name."""
        return next((each for each in self.outputs if each.name == name), None)

    def to_document(self) -> dict[str, Any]:
        """Return the canonical form, ready for JSON."""
        document: dict[str, Any] = dump(self)
        return document

    def to_yaml_document(self, belt_env: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the entry of ``jobs``, without variables that ``belt_env`` gives alike."""
        inherited = belt_env or {}
        env = {key: text for key, text in self.env.items() if inherited.get(key) != text}
        given = {
            "inputs": [each.to_yaml_document() for each in self.inputs],
            "queue": self.queue,
            "env": env,
            "credentials": list(self.credentials),
            "shell": self.shell if self.shell != "bash" else None,
            "working-directory": self.working_directory,
            "pre-run": self.pre_run,
            "commands": self.commands,
            "post-run": self.post_run,
            "outputs": [each.to_yaml_document() for each in self.outputs],
            "downstreams": [each.to_yaml_document() for each in self.downstreams],
            "timeout": _duration(self.timeout_s, None),
            "post-run-timeout": _duration(self.post_run_timeout_s, POST_RUN_DEFAULT_S),
            "retry": self.retry.to_yaml_document() if self.retry != RetrySpec() else None,
        }
        return {"name": self.name, **{key: each for key, each in given.items() if each}}


@dataclass(frozen=True, slots=True)
class BeltSpec:
    """A belt; its ``env`` is already part of the ``env`` of its jobs."""

    name: str
    description: str = ""
    env: dict[str, str] = field(default_factory=dict)
    jobs: tuple[JobSpec, ...] = ()
    downstreams: tuple[DownstreamSpec, ...] = ()

    def job(self, name: str) -> JobSpec | None:
        """Return the job of that name."""
        return next((each for each in self.jobs if each.name == name), None)

    def to_yaml_document(self) -> dict[str, Any]:
        """Return the entry of ``belts``; a job's ``env`` is there without the belt's."""
        given = {
            "description": self.description,
            "env": dict(self.env),
            "downstreams": [each.to_yaml_document() for each in self.downstreams],
        }
        jobs = [job.to_yaml_document(self.env) for job in self.jobs]
        return {"name": self.name, **{key: each for key, each in given.items() if each}} | {
            "jobs": jobs
        }


@dataclass(frozen=True, slots=True)
class TriggerSpec:
    """What starts belts. ``kind`` is scm-event, upstream-build, schedule or manual.

    The fields of other kinds are empty. ``broken`` is the sentence why it never fires, if so;
    it follows from the rest, as ``line`` follows from the file.
    """

    kind: str
    belts: tuple[str, ...]
    repo: str | None = None
    types: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    upstream_product: str | None = None
    upstream_belt: str | None = None
    build: str | int | None = None
    on: tuple[str, ...] = ()
    cron: str | None = None
    timezone: str | None = None
    broken: str | None = field(
        default=None, compare=False, repr=False, metadata={"document": False}
    )
    line: int | None = field(default=None, compare=False, repr=False, metadata={"document": False})

    def details(self) -> dict[str, Any]:
        """Return the keys beside the marker, without ``belts``."""
        given: dict[str, Any] = {
            "repo": self.repo,
            "type": list(self.types),
            "branches": list(self.branches),
            "upstream-product": self.upstream_product,
            "upstream-belt": self.upstream_belt,
            "build": self.build,
            "on": list(self.on) if self.on != SUCCESS else None,
            "cron": self.cron,
            "timezone": self.timezone if self.timezone != "UTC" else None,
        }
        return {key: value for key, value in given.items() if value}

    def to_yaml_document(self) -> dict[str, Any]:
        """Return the entry of ``triggers``."""
        return {self.kind: None, **self.details(), "belts": list(self.belts)}


@dataclass(frozen=True, slots=True)
class BeltFile:
    """All that a belt file says. ``marks`` has lines and columns by path, where there is a text.

    ``gaps`` is empty, except in what could be read of a broken file: "" where a belt may be
    missing, a belt's path where one of its jobs may be, a job's where one of its outputs may be.
    """

    product: str
    description: str = ""
    source: str | None = None
    triggers: tuple[TriggerSpec, ...] = ()
    belts: tuple[BeltSpec, ...] = ()
    marks: dict[str, Mark] = field(
        default_factory=dict, compare=False, repr=False, metadata={"document": False}
    )
    gaps: frozenset[str] = field(
        default=frozenset(), compare=False, repr=False, metadata={"document": False}
    )

    def belt(self, name: str) -> BeltSpec | None:
        """Return the belt of that name."""
        return next((each for each in self.belts if each.name == name), None)

    def lacks_belts(self) -> bool:
        """Return whether it may have belts that could not be read."""
        return "" in self.gaps

    def lacks_jobs(self, belt: BeltSpec) -> bool:
        """Return whether the belt, one of the file's, may have jobs that could not be read."""
        return bool(self.gaps) and f"belts[{self.belts.index(belt)}]" in self.gaps

    def lacks_outputs(self, belt: BeltSpec, job: JobSpec) -> bool:
        """Return whether a job of the belt may have outputs that could not be read."""
        if not self.gaps:
            return False
        return f"belts[{self.belts.index(belt)}].jobs[{belt.jobs.index(job)}]" in self.gaps

    def to_document(self) -> dict[str, Any]:
        """Return the canonical form, ready for JSON; equal files have equal forms."""
        document: dict[str, Any] = dump(self)
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> BeltFile:
        """Return the file that ``to_document`` wrote, without lines."""
        return with_broken_triggers(restore(cls, document))

    def with_places(
        self, marks: dict[str, Mark], lines: list[int | None], gaps: frozenset[str]
    ) -> BeltFile:
        """Return the file with marks by path, the line of each trigger, and its gaps."""
        triggers = tuple(
            dataclasses.replace(trigger, line=line)
            for trigger, line in zip(self.triggers, lines, strict=True)
        )
        return dataclasses.replace(self, marks=marks, triggers=triggers, gaps=gaps)

    def to_yaml_document(self) -> dict[str, Any]:
        """Return the file's own form; ``belts.spec.parse_document`` reads it back."""
        given = {
            "description": self.description,
            "source": self.source,
            "triggers": [each.to_yaml_document() for each in self.triggers],
            "belts": [each.to_yaml_document() for each in self.belts],
        }
        return {"product": self.product, **{key: each for key, each in given.items() if each}}


def digest(file: BeltFile) -> str:
    """Return the SHA-256 of the canonical JSON of the file, as 64 hexadecimal digits."""
    text = json.dumps(file.to_document(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def with_broken_triggers(file: BeltFile) -> BeltFile:
    """Return the file with ``broken`` set on each trigger that names a belt which it lacks."""
    known = [belt.name for belt in file.belts]
    triggers = tuple(
        dataclasses.replace(trigger, broken=_why_broken(trigger, file.product, known))
        for trigger in file.triggers
    )
    return dataclasses.replace(file, triggers=triggers)


def _why_broken(trigger: TriggerSpec, product: str, known: list[str]) -> str | None:
    named = list(trigger.belts)
    if trigger.upstream_product == product and trigger.upstream_belt:
        named.append(trigger.upstream_belt)
    missing = [name for name in named if name not in known]
    if not missing:
        return None
    sentences = [
        f"{product} has no belt {quoted(name)}. "
        + did_you_mean(name, known, what=f"belts of {product}")
        for name in missing
    ]
    return " ".join(sentences)


def _duration(seconds: int | None, default: int | None) -> str | None:
    return None if seconds is None or seconds == default else format_duration(seconds)
