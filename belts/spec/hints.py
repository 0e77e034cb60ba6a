"""Ways out for people who know other systems: what Conveyor has instead of a key of theirs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from belts.spec.names import listed, nearest, quoted
from belts.spec.nodes import Mapping, Node

TRIGGERS = """\
What starts belts is written under `triggers`:
triggers:
  - scm-event:
      type: push
      belts: tests"""
JOBS = """\
Jobs belong to a belt:
belts:
  - name: tests
    jobs:
      - name: unit
        commands: make test"""

_COMMANDS = "Write what the job does under `commands`."
_NEEDS = "Write the jobs that this one needs under `inputs`, such as inputs: [build]."
_QUEUE = "Choose the runners of a job with `queue`, such as queue: linux."
_VARIABLES = "Write variables under `env`."
_CONDITION = "Write an `if` of the shell into `commands`, or a trigger for each case."
_IMAGE = "A job uses the programs of its runner. Choose the runner with `queue`."
_FILES = "`outputs` hands on texts of at most 32 KiB."
_MATRIX = "Write a job for each value."
_STAGES = f"All jobs of a belt start together, except those that need others. {_NEEDS}"
_SHARED = "Write keys that all jobs of a belt share under its `defaults`."
_STEPS = f"{_COMMANDS} `inputs: source` checks out the repository."

# Keys that Conveyor has under another name.
_ELSEWHERE = {
    "script": _COMMANDS,
    "run": _COMMANDS,
    "steps": _STEPS,
    "uses": f"Conveyor has no actions. {_STEPS}",
    "before-script": "Write what comes before the commands under `pre-run`.",
    "after-script": "Write what comes after the commands under `post-run`.",
    "needs": _NEEDS,
    "depends-on": _NEEDS,
    "dependencies": _NEEDS,
    "requires": _NEEDS,
    "runs-on": _QUEUE,
    "tags": _QUEUE,
    "agents": _QUEUE,
    "pool": _QUEUE,
    "variables": _VARIABLES,
    "environment": f"{_VARIABLES} There is no other `environment` yet.",
    "secrets": "Write the names of credentials under `credentials`.",
    "timeout-minutes": "Write the limit under `timeout`, such as timeout: 20m.",
    "cron": "Write a trigger of the kind `schedule`, with the key `cron`.",
    "schedules": "Write a trigger of the kind `schedule`, with the key `cron`.",
}
# Keys for which Conveyor has nothing of its own, with what helps.
_NOT_YET = {
    "matrix": _MATRIX,
    "strategy": _MATRIX,
    "parallel": _MATRIX,
    "image": _IMAGE,
    "container": _IMAGE,
    "services": "Start the service in `pre-run`.",
    "cache": "Each job begins with an empty workspace.",
    "artifacts": _FILES,
    "paths": _FILES,
    "when": _CONDITION,
    "if": _CONDITION,
    "rules": _CONDITION,
    "only": _CONDITION,
    "except": _CONDITION,
    "stage": _STAGES,
    "stages": _STAGES,
    "allow-failure": "Write `|| true` after a command that may fail.",
    "continue-on-error": "Write `|| true` after a command that may fail.",
    "concurrency": "Jobs of a queue run one at a time if its only runner has one slot.",
    "extends": _SHARED,
    "include": _SHARED,
}
_GITHUB = {
    "sha": "CONVEYOR_COMMIT",
    "ref": "CONVEYOR_REF",
    "ref_name": "CONVEYOR_BRANCH",
    "workspace": "CONVEYOR_WORKSPACE",
}
_OF_A_JOB = frozenset({"script", "steps", "commands", "runs-on", "stage", "uses"})


def of_another_system(key: str) -> str:
    """Return what to write instead of a key that other systems have; empty for any other key."""
    name = key.lower().replace("_", "-")
    if name in _NOT_YET:
        return f"There is no `{key}` yet. {_NOT_YET[name]}"
    return _ELSEWHERE.get(name, "")


def for_expression(inside: str) -> str:
    """Return what to write instead of ``${{ inside }}``."""
    words = inside.strip().split(".")
    if len(words) == 2 and words[0] in ("env", "vars", "variables", "inputs"):
        return f"Conveyor writes ${words[1]} for a variable."
    if len(words) == 2 and words[0] == "secrets":
        return f"Add the credential to `credentials`. Its variable is ${words[1]}."
    if words[0] == "github" and words[-1] in _GITHUB:
        return f"Conveyor writes ${_GITHUB[words[-1]]}."
    if words[0] in ("needs", "steps", "jobs") and "outputs" in words[1:-1]:
        return f"Conveyor writes ${{{words[1]}.{words[-1]}}} for an output of a job."
    if re.fullmatch(r"[\w-]+(\.[\w-]+){1,3}", inside.strip(), re.ASCII) and words[0] != "github":
        return f"Conveyor writes ${{{inside.strip()}}}."
    return "Conveyor writes ${build.VERSION} for the output VERSION of the job build."


def looks_like_a_job(node: Node) -> bool:
    """Return whether a mapping has keys that jobs have, here or in other systems."""
    return isinstance(node, Mapping) and not _OF_A_JOB.isdisjoint(node.names)


def for_unknown_key(key: str, known: Iterable[str], *, noun: str) -> str:
    """Return the hint for a key that ``noun`` lacks: of another system, the nearest, or all."""
    names = list(known)
    if hint := of_another_system(key):
        return hint
    if near := nearest(key, names):
        return f"Did you mean {quoted(near)}?"
    return f"The keys of {noun} are {listed(names, most=len(names))}."
