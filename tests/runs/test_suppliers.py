"""Which run supplies another product's outputs: the chain's, else the latest that fits."""

from __future__ import annotations

import pytest

from products.models import Event
from runs.cancel import cancel_belt_run
from runs.models import BeltRun, Supplier
from runs.triggers import start_for_event
from tests import builders
from tests.engine import (
    Worker,
    consumed,
    deliver_all,
    job_of,
    publish_text,
    runs_of,
    start,
    state,
    states,
    work_off,
)

pytestmark = [pytest.mark.django_db, pytest.mark.database]

GEM = """
    product: gem
    triggers:
      - scm-event: {type: push}
        belts: build
    belts:
      - name: build
        jobs:
          - {name: compile, commands: make, outputs: [{String: FILE}]}
          - {name: slow, commands: slow}
        downstreams: [{downstream-product: image, belts: bake}]
"""
IMAGE = """
    product: image
    belts:
      - name: bake
        jobs: [{name: bake, commands: bake, outputs: [{String: ID}]}]
        downstreams: [{downstream-product: site, belts: deploy}]
"""


def site(inputs: str = "", reference: str = "gem.build.compile.FILE") -> str:
    return f"""
        product: site
        belts:
          - name: deploy
            jobs: [{{name: deploy, commands: "use ${{{reference}}}"{inputs}}}]
    """


def a_gem(file: str, *, worker: Worker | None = None, **fields: object) -> BeltRun:
    """Return a run of gem.build that succeeded and handed on ``file``, without what follows it."""
    worker = worker or Worker()
    run = start("gem.build", continue_downstream=False)
    BeltRun.objects.filter(id=run.id).update(**fields)
    worker.do(run, "compile", FILE=file)
    worker.do(run, "slow")
    return run


def supplied(run: BeltRun) -> Supplier:
    return Supplier.objects.get(consumer__belt_run=run)


# --- The chain ------------------------------------------------------------------------------------
def test_the_run_in_the_chain_supplies_however_many_hops_up_and_whatever_is_newer() -> None:
    for text in (GEM, IMAGE, site()):
        publish_text(text)
    worker = Worker()
    first = start("gem.build")
    worker.do(first, "compile", FILE="first.gem")
    worker.do(first, "slow")
    newer = a_gem("newer.gem")
    work_off(worker, lambda _: {"FILE": "late.gem", "ID": "ami-1"})
    [deploy] = runs_of("site.deploy")
    assert deploy.depth == 2
    assert (supplied(deploy).how, supplied(deploy).belt_run) == ("chain", first)
    assert consumed(deploy, "deploy") == {"gem.build.compile.FILE": "first.gem"}
    assert newer.number > first.number


def test_a_run_by_hand_takes_the_latest_success_and_keeps_to_it() -> None:
    publish_text(GEM)
    publish_text(site())
    a_gem("old.gem")
    latest = a_gem("new.gem")
    failed = start("gem.build")
    Worker().do(failed, "compile", "failed")
    run = start("site.deploy")
    assert (supplied(run).how, supplied(run).belt_run) == ("latest", latest)
    assert consumed(run, "deploy") == {"gem.build.compile.FILE": "new.gem"}
    a_gem("newest.gem")
    assert supplied(run).belt_run == latest


def test_no_branch_and_no_fork_supplies_unasked() -> None:
    publish_text(GEM)
    publish_text(site())
    good = a_gem("main.gem")
    a_gem("branch.gem", on_default_branch=False, branch="topic")
    a_gem("fork.gem", tainted=True)
    run = start("site.deploy")
    assert supplied(run).belt_run == good


def test_a_higher_round_of_the_latest_number_supplies() -> None:
    publish_text(GEM)
    publish_text(site())
    first = a_gem("one.gem")
    again = a_gem("two.gem")
    BeltRun.objects.filter(id=again.id).update(number=first.number, round=2)
    assert supplied(start("site.deploy")).belt_run == again


# --- Chosen by the file ---------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("build: last_successful", "good"),
        ("build: last", "broken"),
        ("build: last_failure", "broken"),
        ("build: 1", "first"),
        ("branch: topic", "topic"),
        ("branch: topic, build: last", "topic"),
    ],
)
def test_an_input_may_choose_another_run(chosen: str, expected: str) -> None:
    publish_text(GEM)
    publish_text(site(f", inputs: [{{from: gem.build, {chosen}}}]"))
    runs = {"first": a_gem("first.gem")}
    runs["topic"] = a_gem("topic.gem", on_default_branch=False, branch="topic")
    runs["good"] = a_gem("good.gem")
    worker = Worker()
    runs["broken"] = start("gem.build", continue_downstream=False)
    worker.do(runs["broken"], "compile", FILE="broken.gem")
    worker.do(runs["broken"], "slow", "failed")
    run = start("site.deploy")
    assert supplied(run).belt_run == runs[expected]
    assert consumed(run, "deploy") == {"gem.build.compile.FILE": f"{expected}.gem"}


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ("build: last_successful", "gem.build has no successful run"),
        ("build: last_failure", "gem.build has no failed run"),
        ("build: 7", "gem.build has no run 7"),
        ("branch: topic", "gem.build has no successful run on branch topic"),
    ],
)
def test_a_job_for_which_no_run_fits_ends_as_errored_and_says_which(chosen: str, says: str) -> None:
    publish_text(GEM)
    publish_text(site(f", inputs: [{{from: gem.build, {chosen}}}]"))
    run = start("site.deploy")
    row = job_of(run, "deploy")
    assert (row.state, row.reason) == ("errored", "input-missing")
    assert says in row.message
    assert (supplied(run).how, supplied(run).belt_run) == ("none", None)
    assert state(run) == "errored"


# --- Waiting for suppliers ------------------------------------------------------------------------
def test_a_job_waits_for_a_supplier_that_is_still_running_and_goes_on_with_its_end() -> None:
    publish_text(GEM)
    publish_text(site(", inputs: [{from: gem.build, build: last}]"))
    worker = Worker()
    supplier = start("gem.build", continue_downstream=False)
    run = start("site.deploy")
    deliver_all()
    assert job_of(run, "deploy").message == "Waits for gem.build #1, which is still running."
    worker.do(supplier, "compile", FILE="a.gem")
    deliver_all()
    assert states(run) == {"deploy": "queued"}
    assert consumed(run, "deploy") == {"gem.build.compile.FILE": "a.gem"}
    assert state(supplier) == "running"


def test_a_supplier_that_ends_without_the_output_ends_the_job_as_errored() -> None:
    publish_text(GEM)
    publish_text(site(", inputs: [{from: gem.build, build: last}]"))
    supplier = start("gem.build", continue_downstream=False)
    run = start("site.deploy")
    cancel_belt_run(supplier, by="Eve")
    deliver_all()
    row = job_of(run, "deploy")
    assert (row.state, row.reason) == ("errored", "input-missing")
    assert row.message == (
        "${gem.build.compile.FILE} has no value: job compile of gem.build #1 is cancelled and "
        "handed on no FILE."
    )
    assert state(run) == "errored"


def test_a_whole_belt_as_input_is_waited_for_to_its_end() -> None:
    publish_text(GEM)
    publish_text(
        """
        product: site
        belts:
          - name: deploy
            jobs: [{name: deploy, commands: x, inputs: [{from: gem.build, build: last}]}]
        """
    )
    worker = Worker()
    supplier = start("gem.build", continue_downstream=False)
    run = start("site.deploy")
    worker.do(supplier, "compile", FILE="a.gem")
    deliver_all()
    assert states(run) == {"deploy": "waiting"}
    worker.do(supplier, "slow")
    deliver_all()
    assert states(run) == {"deploy": "queued"}
    assert consumed(run, "deploy") == {}


def test_a_job_in_the_middle_of_a_chain_waits_for_the_rest_of_its_upstream_run() -> None:
    """A job's downstream belt begins while the upstream belt run still goes on."""
    publish_text(
        GEM.replace("outputs: [{String: FILE}]}", "downstreams: [" + _SITE + "]}")
        .replace("commands: slow}", "commands: slow, outputs: [{String: FILE}]}")
        .replace("downstreams: [{downstream-product: image, belts: bake}]", "")
    )
    publish_text(site(reference="gem.build.slow.FILE"))
    worker = Worker()
    upstream = start("gem.build")
    worker.do(upstream, "compile")
    deliver_all()
    [run] = runs_of("site.deploy")
    assert states(run) == {"deploy": "waiting"}
    worker.do(upstream, "slow", FILE="slow.gem")
    deliver_all()
    assert consumed(run, "deploy") == {"gem.build.slow.FILE": "slow.gem"}


_SITE = "{downstream-product: site, belts: deploy}"


def test_the_triggers_choice_of_a_build_counts_for_the_run_that_it_starts() -> None:
    publish_text(GEM.replace("downstreams: [{downstream-product: image, belts: bake}]", ""))
    publish_text(
        """
        product: site
        triggers:
          - upstream-build:
            upstream-product: gem
            upstream-belt: build
            build: last_successful
            on: failure
            belts: deploy
        belts:
          - name: deploy
            jobs: [{name: deploy, commands: "use ${gem.build.compile.FILE}"}]
        """
    )
    good = a_gem("good.gem")
    broken = start("gem.build")
    worker = Worker()
    worker.do(broken, "compile", FILE="broken.gem")
    worker.do(broken, "slow", "failed")
    deliver_all()
    [run] = runs_of("site.deploy")
    assert (run.upstream, supplied(run).belt_run) == (broken, good)


def test_tainted_run_of_a_fork_supplies_no_run() -> None:
    product = publish_text(GEM)
    publish_text(site())
    source = builders.a_source(product)
    event: Event = builders.an_event(product, source=source, kinds=["push"], tainted=True)
    [fork] = start_for_event(event.id)
    worker = Worker()
    worker.do(fork, "compile", FILE="fork.gem")
    worker.do(fork, "slow")
    run = start("site.deploy")
    assert "gem.build has no successful run" in job_of(run, "deploy").message
