"""Triggers and the events of repositories."""

from __future__ import annotations

import pytest

from belts.spec import BeltFile, parse_document
from belts.spec.matching import EventFacts, declared_source, matches
from belts.spec.shapes import TriggerSpec, with_broken_triggers

REPO = "git://host/p"


def same(one: str, other: str) -> bool:
    return one.partition("://")[2] == other.partition("://")[2]


def scm(*types: str, repo: str | None = REPO, branches: tuple[str, ...] = ()) -> TriggerSpec:
    return TriggerSpec("scm-event", ("b",), repo=repo, types=types, branches=branches)


def event(kind: str, branch: str = "main", repository: str = "https://host/p") -> EventFacts:
    return EventFacts(kind, repository, branch=branch)


@pytest.mark.parametrize(
    ("trigger", "facts", "fires"),
    [
        (scm("push"), event("push"), True),
        (scm("push"), event("merge"), False),
        (scm("push", "merge"), event("merge"), True),
        (scm("push"), event("push", repository="https://host/other"), False),
        (scm("push", repo=None), event("push", repository="https://host/other"), True),
        (scm("push", branches=("main", "release/*")), event("push", "release/1"), True),
        (scm("push", branches=("main", "release/*")), event("push", "feature"), False),
        (scm("push", branches=("Main",)), event("push", "main"), False),
        (scm("push", branches=("v[12]",)), event("push", "v2"), True),
        (scm("pull-request", branches=("main",)), event("pull-request", "main"), True),
        (scm("tag", branches=("main",)), event("tag", ""), True),
        (scm("push", branches=("main",)), event("push", ""), False),
        (TriggerSpec("manual", ("b",)), event("push"), False),
    ],
)
def test_a_trigger_fires_for_its_kinds_repository_and_branches(
    trigger: TriggerSpec, facts: EventFacts, fires: bool
) -> None:
    assert matches(trigger, facts, same_repository=same) is fires


def test_a_broken_trigger_never_fires() -> None:
    file = with_broken_triggers(BeltFile("p", triggers=(scm("push"),)))
    assert file.triggers[0].broken is not None
    assert not matches(file.triggers[0], event("push"), same_repository=same)


def file_with(source: str | None, *repos: str | None) -> BeltFile:
    triggers = tuple(scm("push", repo=repo) for repo in repos)
    return BeltFile("p", source=source, triggers=triggers)


def test_the_declared_source_is_the_key_else_the_one_repository_of_the_triggers() -> None:
    other = "https://host/p"
    assert declared_source(file_with("https://x/y", REPO), same_repository=same) == "https://x/y"
    assert declared_source(file_with(None, REPO, None, other), same_repository=same) == REPO
    assert declared_source(file_with(None, REPO, "git://z/z"), same_repository=same) is None
    assert declared_source(file_with(None, None), same_repository=same) is None


@pytest.mark.parametrize("url", ["--upload-pack=x", "a b", " "])
def test_a_repository_that_git_would_read_as_an_option_is_refused(url: str) -> None:
    result = parse_document({"product": "p", "source": url})
    assert [each.code for each in result.problems] == ["value.malformed"]
