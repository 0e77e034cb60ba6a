"""Does a trigger answer an event of a repository; which repository is a product's."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from dataclasses import dataclass

from belts.spec.names import quoted
from belts.spec.places import located
from belts.spec.problems import Problem
from belts.spec.shapes import BeltFile, TriggerSpec

SameRepository = Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class EventFacts:
    """One thing that happened in a repository, as far as triggers ask.

    ``kind`` is push, pull-request, merge or tag. ``branch`` is the branch pushed to, or the one
    that a pull request is to be, or was, merged into; empty for a tag.
    """

    kind: str
    repository: str
    branch: str = ""


def matches(trigger: TriggerSpec, facts: EventFacts, *, same_repository: SameRepository) -> bool:
    """Return whether the event fires the trigger.

    A trigger without ``repo`` answers every repository: the caller asks only about events of the
    product's own source. ``branches`` are patterns as of ``fnmatch``, case-sensitive, where ``*``
    crosses slashes; they do not concern tags. A broken trigger never fires.
    """
    if trigger.kind != "scm-event" or trigger.broken is not None:
        return False
    if facts.kind not in trigger.types:
        return False
    if trigger.repo is not None and not same_repository(trigger.repo, facts.repository):
        return False
    return facts.kind == "tag" or not trigger.branches or matches_branch(trigger, facts.branch)


def matches_branch(trigger: TriggerSpec, branch: str) -> bool:
    """Return whether the branch fits one of the trigger's patterns."""
    return any(fnmatch.fnmatchcase(branch, pattern) for pattern in trigger.branches)


def declared_source(file: BeltFile, *, same_repository: SameRepository) -> str | None:
    """Return the repository that the file itself names as the product's, as written.

    It is ``source``, else the one repository that all its scm-event triggers name; None when they
    name none or several.
    """
    if file.source is not None:
        return file.source
    named = [each.repo for each in file.triggers if each.kind == "scm-event" and each.repo]
    if not named or any(not same_repository(named[0], each) for each in named):
        return None
    return named[0]


def triggers_of_others(
    file: BeltFile, repository: str, *, same_repository: SameRepository
) -> list[Problem]:
    """Return a warning for each trigger that answers a repository which is not the product's.

    A product gets the events of its own ``repository`` only.
    """
    problems = []
    for index, trigger in enumerate(file.triggers):
        if trigger.repo is None or same_repository(trigger.repo, repository):
            continue
        message = (
            f"This trigger answers {quoted(trigger.repo)}, and the repository of {file.product} is"
            f" {quoted(repository)}; it never fires."
        )
        hint = "Leave repo out: it is the product's own then. Or import with another --source."
        problem = Problem("trigger.other-repository", "warning", message, hint)
        problems.append(located(problem, file, f"triggers[{index}].repo"))
    return problems


def no_source(file: BeltFile) -> Problem:
    """Return the warning for a product whose repository nothing tells."""
    wanting = [
        f"{belt.name}.{job.name}" for belt in file.belts for job in belt.jobs if job.wants_source
    ]
    message = " ".join(filter(None, ("The product", file.product, "has no repository")))
    message += f"; {', '.join(wanting[:5])} will end errored (no-source)." if wanting else "."
    hint = "Write its URL under source:, or import the URL, such as file:///srv/p.git."
    return Problem("product.no-source", "warning", message, hint, path="source")
