"""From an event to the belt runs that it starts: once each, by the file at its commit."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest
from django.db.models.functions import Now

from belts.definitions import store_definition
from belts.models import Belt, CommitFile
from belts.spec import parse_belt_text
from belts.spec.problems import Problem
from products.errors import PlatformError
from products.models import Event, Product, Source
from runs.models import BeltRun
from runs.rerun import rerun_belt_run
from runs.triggers import start_for_event
from tests import builders
from tests.engine import (
    Worker,
    deliver_all,
    edge_of,
    job_of,
    publish_text,
    runs_of,
    start,
    state,
    states,
)

pytestmark = [pytest.mark.django_db, pytest.mark.database]

URL = "https://git.example/acme/gem.git"
FILE = """
    product: gem
    source: https://git.example/acme/gem.git
    triggers:
      - scm-event: {type: merge}
        belts: release
      - scm-event: {type: push}
        belts: build
      - scm-event: {type: push, branches: "release/*"}
        belts: [build, candidate]
      - scm-event: {type: tag}
        belts: publish
    belts:
      - {name: build, jobs: [{name: compile, commands: make}]}
      - {name: release, jobs: [{name: release, commands: make release}]}
      - {name: candidate, jobs: [{name: pack, commands: make pack}]}
      - {name: publish, jobs: [{name: push, commands: make push}]}
"""


def gem(text: str = FILE) -> Source:
    """Return the source of the product, which its file manages."""
    product = publish_text(text)
    Product.objects.filter(pk=product.pk).update(managed_by=Product.Manager.FILE)
    product.refresh_from_db()
    source, _ = Source.objects.get_or_create(
        product=product, defaults={"url": URL, "default_branch": "main"}
    )
    return source


def happening(source: Source, text: str | None = FILE, **fields: Any) -> Event:
    """Return an event whose commit has the file ``text``."""
    event = builders.an_event(source.product, source=source, **fields)
    if text is not None:
        parsed = parse_belt_text(dedent(text))
        assert parsed.file is not None
        CommitFile.objects.create(
            product=source.product,
            commit=event.commit,
            definition=store_definition(source.product, parsed.file),
        )
    return event


def started(event: Event) -> list[str]:
    return [run.belt.name for run in start_for_event(event.id)]


def outcome(event: Event) -> str:
    event.refresh_from_db()
    assert event.handled_at is not None
    return event.outcome


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ["build", "release"]),
        ({"kinds": ["push"], "branch": "topic", "ref": "refs/heads/topic"}, ["build"]),
        (
            {"kinds": ["push"], "branch": "release/1", "ref": "refs/heads/release/1"},
            ["build", "candidate"],
        ),
        ({"kinds": ["tag"], "branch": "", "ref": "refs/tags/v1"}, ["publish"]),
        ({"kinds": ["pull-request"], "branch": "topic"}, []),
    ],
)
def test_an_event_starts_the_belts_whose_triggers_answer_to_it_each_once(
    fields: dict[str, Any], expected: list[str]
) -> None:
    event = happening(gem(), **fields)
    assert sorted(started(event)) == expected
    assert BeltRun.objects.count() == len(expected)


def test_a_run_has_the_commit_branch_and_cause_of_its_event() -> None:
    event = happening(gem(), kinds=["push", "merge"])
    run = next(run for run in start_for_event(event.id) if run.belt.name == "release")
    assert (run.commit, run.ref, run.branch) == (event.commit, "refs/heads/main", "main")
    assert (run.on_default_branch, run.source_url, run.event) == (True, URL, event)
    assert run.cause == f"Push of {event.commit[:12]} to main."
    assert not run.tainted


def test_outcome_of_an_event_is_stored_as_a_sentence() -> None:
    source = gem()
    event = happening(source)
    start_for_event(event.id)
    assert outcome(event) == "Started gem.build #1, gem.release #1."
    nothing = happening(source, kinds=["pull-request"])
    assert started(nothing) == []
    assert outcome(nothing) == "No trigger answers to it."


def test_repeated_event_starts_no_more_runs() -> None:
    event = happening(gem())
    assert len(started(event)) == 2
    assert started(event) == []
    Event.objects.update(handled_at=None)
    again = start_for_event(event.id)
    assert len(again) == 2
    assert BeltRun.objects.count() == 2


def test_the_file_at_the_commit_counts_and_not_the_present_one() -> None:
    event = happening(gem(FILE.replace("make release", "present")), FILE)
    [run] = [run for run in start_for_event(event.id) if run.belt.name == "release"]
    assert run.definition.document["belts"][1]["jobs"][0]["commands"] == "make release"


def test_a_branch_may_have_belts_that_the_default_branch_does_not_have() -> None:
    source = gem()
    branch = FILE.replace("belts: build\n", "belts: [build, brandnew]\n", 1) + (
        "      - {name: brandnew, jobs: [{name: x, commands: x}]}\n"
    )
    event = happening(source, branch, kinds=["push"], branch="topic", ref="refs/heads/topic")
    assert sorted(started(event)) == ["brandnew", "build"]
    assert Belt.objects.filter(product=source.product, name="brandnew").exists()
    assert not BeltRun.objects.filter(on_default_branch=True).exists()


def test_a_broken_file_starts_nothing_and_says_what_is_wrong_with_it() -> None:
    source = gem()
    event = happening(source, None)
    problem = Problem("key.unknown", "error", "The key jbos is not known.", line=3)
    CommitFile.objects.create(
        product=source.product, commit=event.commit, problems=[problem.to_document()]
    )
    assert started(event) == []
    assert outcome(event).startswith("Nothing more was started. ")
    assert not BeltRun.objects.exists()


def test_an_event_of_an_archived_product_starts_nothing() -> None:
    event = happening(gem())
    Product.objects.update(archived_at=Now())
    assert started(event) == []
    assert outcome(event) == "The product is archived."


def test_a_source_that_cannot_be_read_leaves_the_event_to_be_tried_again() -> None:
    source = gem()
    Source.objects.update(url="https://no-such-host.invalid/gem.git")
    event = happening(source, None)
    with pytest.raises(PlatformError, match=r"no-such-host\.invalid"):
        start_for_event(event.id)
    event.refresh_from_db()
    assert event.handled_at is None


PULLS = """
    product: gem
    source: https://git.example/acme/gem.git
    triggers:
      - scm-event: {type: pull-request, branches: main}
        belts: check
    belts:
      - name: check
        jobs: [{name: check, commands: make check, outputs: [{String: FILE}]}]
        downstreams: [{downstream-product: site, belts: deploy}]
"""
SITE = """
    product: site
    belts: [{name: deploy, jobs: [{name: deploy, commands: "use ${gem.check.check.FILE}"}]}]
"""


def a_pull_request(source: Source, text: str | None = PULLS, **fields: Any) -> Event:
    """Return the event of a pull request into main."""
    given = {"kinds": ["pull-request"], "ref": "refs/pull/7/head", **fields}
    return happening(source, text, **given)


def test_fork_does_not_decide_what_is_run() -> None:
    hostile = PULLS.replace("make check", "steal").replace("belts: check", "belts: [check, more]")
    hostile += "      - {name: more, jobs: [{name: more, commands: steal}]}\n"
    event = a_pull_request(gem(PULLS), hostile, tainted=True)
    [run] = start_for_event(event.id)
    assert (run.belt.name, run.tainted) == ("check", True)
    assert run.definition.document["belts"][0]["jobs"][0]["commands"] == "make check"


def test_pull_request_from_within_uses_its_own_file() -> None:
    event = a_pull_request(gem(PULLS), PULLS.replace("make check", "make proposed"))
    [run] = start_for_event(event.id)
    assert run.definition.document["belts"][0]["jobs"][0]["commands"] == "make proposed"


@pytest.mark.parametrize("choice", ["build: last", "build: last_successful", "branch: main"])
def test_pull_request_supplies_no_other_run(choice: str) -> None:
    text = f'"use ${{gem.check.check.FILE}}", inputs: [{{from: gem.check, {choice}}}]'
    event = a_pull_request(gem(PULLS))
    publish_text(SITE.replace('"use ${gem.check.check.FILE}"', text))
    [run] = start_for_event(event.id)
    Worker().do(run, "check", FILE="proposed.gem")
    assert (run.branch, run.ref, run.on_default_branch) == ("", "refs/pull/7/head", False)
    deploy = start("site.deploy")
    assert states(deploy) == {"deploy": "errored"}
    assert "gem.check has no" in job_of(deploy, "deploy").message


def test_pull_request_and_its_rerun_start_nothing_downstream() -> None:
    event = a_pull_request(gem(PULLS))
    publish_text(SITE)
    [run] = start_for_event(event.id)
    Worker().do(run, "check", FILE="proposed.gem")
    again = rerun_belt_run(run)
    Worker().do(again, "check", FILE="proposed.gem")
    deliver_all()
    assert runs_of("site.deploy") == []
    assert [edge_of(each, "site.deploy").note for each in (run, again)] == [
        "A run of a pull request does not start downstream belts."
    ] * 2


def test_rerun_of_a_pull_request_goes_downstream_if_asked_to() -> None:
    event = a_pull_request(gem(PULLS))
    publish_text(SITE)
    [run] = start_for_event(event.id)
    Worker().do(run, "check", "failed")
    again = rerun_belt_run(run, continue_downstream=True)
    Worker().do(again, "check", FILE="proposed.gem")
    deliver_all()
    [deploy] = runs_of("site.deploy")
    assert deploy.upstream == again


def test_reruns_keep_their_event_and_the_event_makes_no_other_run() -> None:
    event = a_pull_request(gem(PULLS))
    publish_text(SITE)
    [run] = start_for_event(event.id)
    Worker().do(run, "check", "failed")
    second = rerun_belt_run(run)
    Worker().do(second, "check", "failed")
    run.delete()
    third = rerun_belt_run(second)
    assert (second.event, third.event, third.round) == (event, event, 3)
    Event.objects.update(handled_at=None)
    assert start_for_event(event.id) == [second]


def test_an_event_of_a_fork_makes_a_tainted_run() -> None:
    event = happening(gem(), kinds=["push"], branch="topic", tainted=True)
    [run] = start_for_event(event.id)
    assert run.tainted


def test_a_schedule_starts_its_belts_on_the_present_definition() -> None:
    product = publish_text(
        """
        product: nightly
        triggers:
          - schedule: {cron: "30 3 * * *"}
            belts: tidy
        belts:
          - {name: tidy, jobs: [{name: sweep, commands: sweep}]}
        """
    )
    event = builders.an_event(
        product,
        origin=Event.Origin.SCHEDULE,
        kinds=["schedule"],
        commit="",
        ref="",
        branch="",
        details={"belts": ["tidy", "gone"]},
    )
    [run] = start_for_event(event.id)
    assert (run.belt.name, run.cause, run.event) == ("tidy", "Started by its schedule.", event)
    assert states(run) == {"sweep": "queued"}


def test_a_belt_whose_references_name_nothing_makes_a_run_that_says_so() -> None:
    text = FILE.replace("make release", '"make ${nowhere.build.FILE}"')
    event = happening(gem(text), text, kinds=["merge"])
    [run] = start_for_event(event.id)
    assert state(run) == "errored"
    assert "nowhere" in job_of(run, "release").message


def test_an_event_that_was_removed_starts_nothing() -> None:
    event = happening(gem())
    event_id = event.id
    event.delete()
    assert start_for_event(event_id) == []
