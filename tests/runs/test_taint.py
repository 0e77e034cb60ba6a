"""Taint follows values: whoever takes one from a fork's run is run without credentials."""

from __future__ import annotations

import pytest

from runs.models import BeltRun, JobRun
from runs.rerun import rerun_belt_run
from tests.engine import (
    Worker,
    consumed,
    deliver_all,
    job_of,
    publish_text,
    runs_of,
    start,
    states,
)

pytestmark = [pytest.mark.django_db, pytest.mark.database]

GEM = """
    product: gem
    belts:
      - name: build
        jobs: [{name: compile, commands: make, outputs: [{String: FILE}]}]
"""


def site(inputs: str, *, downstream: str = "") -> str:
    """Return a site that deploys a file of the gem, after a job that takes nothing."""
    return f"""
        product: site
        belts:
          - name: deploy
            {downstream}
            jobs:
              - {{name: prepare, commands: x}}
              - name: deploy
                inputs: [prepare, {inputs}]
                commands: "use ${{gem.build.compile.FILE}}"
                outputs: [{{String: URL}}]
              - {{name: check, inputs: deploy, commands: "get ${{deploy.URL}}"}}
    """


CHECK = """
    product: check
    belts:
      - {name: look, jobs: [{name: first, commands: x}, {name: last, inputs: first, commands: x}]}
"""


def a_gem(*, ended: bool = True, tainted: bool = False, **fields: object) -> BeltRun:
    """Return a run of the gem that has its taint from the beginning."""
    run = start("gem.build")
    BeltRun.objects.filter(id=run.id).update(tainted=tainted, **fields)
    if ended:
        Worker().do(run, "compile", FILE="a.gem")
    return run


def is_tainted(run: BeltRun) -> bool:
    return bool(BeltRun.objects.values_list("tainted", flat=True).get(id=run.id))


def claims_as_tainted(run: BeltRun, job: str) -> bool:
    """Claim a job; return whether it is run as tainted."""
    claim = Worker().claim(job_of(run, job))
    assert claim is not None
    return claim.is_tainted


@pytest.mark.parametrize(
    ("inputs", "fields"),
    [
        ("{from: gem.build, build: 1}", {}),
        ("{from: gem.build.compile, build: 1}", {"on_default_branch": False}),
    ],
)
def test_run_that_names_a_tainted_build_is_tainted(inputs: str, fields: dict[str, bool]) -> None:
    publish_text(GEM)
    publish_text(site(inputs))
    a_gem(tainted=True, **fields)
    run = start("site.deploy")
    assert is_tainted(run)
    assert claims_as_tainted(run, "prepare")


@pytest.mark.parametrize("chosen", ["build: last", "branch: topic, build: last", "build: 1"])
def test_supplier_that_becomes_tainted_taints_its_consumer(chosen: str) -> None:
    """The supplier was chosen while it was untainted and has not ended."""
    publish_text(GEM)
    publish_text(site(f"{{from: gem.build, {chosen}}}"))
    gem = a_gem(ended=False, branch="topic")
    run = start("site.deploy")
    Worker().do(run, "prepare")
    BeltRun.objects.filter(id=gem.id).update(tainted=True)
    assert not is_tainted(run)
    Worker().do(gem, "compile", FILE="a.gem")
    deliver_all()
    assert consumed(run, "deploy") == {"gem.build.compile.FILE": "a.gem"}
    assert is_tainted(run)
    assert claims_as_tainted(run, "deploy")


def test_whole_belt_without_a_value_taints_its_consumer() -> None:
    publish_text(GEM)
    publish_text(
        "product: site\nbelts: [{name: deploy, jobs: [{name: deploy, commands: x, "
        "inputs: [{from: gem.build, build: last}]}]}]"
    )
    gem = a_gem(ended=False)
    run = start("site.deploy")
    BeltRun.objects.filter(id=gem.id).update(tainted=True)
    Worker().do(gem, "compile", FILE="a.gem")
    deliver_all()
    assert is_tainted(run)


def test_job_that_is_not_claimed_yet_is_claimed_as_tainted() -> None:
    publish_text(GEM)
    publish_text(
        """
        product: site
        belts:
          - name: deploy
            jobs:
              - {name: before, commands: x}
              - {name: other, commands: x}
              - name: deploy
                inputs: [{from: gem.build, build: last}]
                commands: "use ${gem.build.compile.FILE}"
        """
    )
    gem = a_gem(ended=False)
    run = start("site.deploy")
    assert not claims_as_tainted(run, "before")
    BeltRun.objects.filter(id=gem.id).update(tainted=True)
    Worker().do(gem, "compile", FILE="a.gem")
    deliver_all()
    assert states(run) == {"before": "starting", "other": "queued", "deploy": "queued"}
    assert claims_as_tainted(run, "other")


def test_claim_that_is_asked_for_again_has_the_taint() -> None:
    publish_text(GEM)
    worker, run = Worker(), a_gem(ended=False, tainted=True)
    wish = worker.wish()
    claims = [worker.claim(job_of(run, "compile"), nonce=wish.nonce) for _ in range(2)]
    assert [claim is not None and claim.is_tainted for claim in claims] == [True, True]


def test_unfinished_downstream_runs_become_tainted_and_finished_ones_do_not() -> None:
    publish_text(CHECK)
    publish_text(GEM)
    publish_text(
        site("{from: gem.build, build: last}").replace(
            "{name: prepare, commands: x}",
            "{name: prepare, commands: x, downstreams: [{downstream-product: next, belts: go}]}",
        )
    )
    publish_text(
        """
        product: next
        belts:
          - name: go
            jobs:
              - name: a
                commands: x
                downstreams: [{downstream-product: check, belts: look}]
              - {name: b, commands: x}
        """
    )
    gem = a_gem(ended=False)
    run = start("site.deploy")
    worker = Worker()
    worker.do(run, "prepare")
    deliver_all()
    [child] = runs_of("next.go")
    worker.do(child, "a")
    deliver_all()
    [grandchild] = runs_of("check.look")
    ended = start("check.look")
    for name in ("first", "last"):
        worker.do(ended, name)
    BeltRun.objects.filter(id=ended.id).update(upstream=run)
    BeltRun.objects.filter(id=gem.id).update(tainted=True)
    worker.do(gem, "compile", FILE="a.gem")
    deliver_all()
    assert [is_tainted(each) for each in (run, child, grandchild, ended)] == [
        True,
        True,
        True,
        False,
    ]
    assert claims_as_tainted(child, "b")


def test_downstream_run_that_is_created_later_inherits_the_taint() -> None:
    publish_text(CHECK)
    publish_text(GEM)
    downstream = "downstreams: [{downstream-product: check, belts: look}]"
    publish_text(site("{from: gem.build, build: last}", downstream=downstream))
    gem = a_gem(ended=False)
    run = start("site.deploy")
    BeltRun.objects.filter(id=gem.id).update(tainted=True)
    worker = Worker()
    worker.do(run, "prepare")
    worker.do(gem, "compile", FILE="a.gem")
    deliver_all()
    worker.do(run, "deploy", URL="x")
    worker.do(run, "check")
    deliver_all()
    [after] = runs_of("check.look")
    assert is_tainted(after)


# --- Reruns ---------------------------------------------------------------------------------------
def test_rerun_of_a_run_whose_supplier_became_tainted_is_tainted() -> None:
    publish_text(GEM)
    publish_text(site("{from: gem.build, build: 1}"))
    gem = a_gem()
    run = start("site.deploy")
    worker = Worker()
    worker.do(run, "prepare")
    worker.do(run, "deploy", "failed")
    BeltRun.objects.filter(id=gem.id).update(tainted=True)
    again = rerun_belt_run(run)
    assert not is_tainted(run)
    assert is_tainted(again)


def test_reused_jobs_of_a_tainted_run_taint_the_rerun() -> None:
    publish_text(GEM)
    publish_text(site("{from: gem.build, build: 1}"))
    a_gem(tainted=True)
    run = start("site.deploy")
    worker = Worker()
    worker.do(run, "prepare")
    worker.do(run, "deploy", URL="x")
    worker.do(run, "check", "failed")
    again = rerun_belt_run(run, only_failed=True)
    assert JobRun.objects.get(belt_run=again, name="deploy").reused_from_id
    assert claims_as_tainted(again, "check")


def test_values_of_a_removed_tainted_run_taint_the_rerun() -> None:
    publish_text(GEM)
    publish_text(site("{from: gem.build, build: 1}"))
    gem = a_gem(tainted=True)
    run = start("site.deploy")
    worker = Worker()
    worker.do(run, "prepare")
    worker.do(run, "deploy", "failed")
    gem.delete()
    again = rerun_belt_run(run)
    worker.do(again, "prepare")
    assert consumed(again, "deploy") == {"gem.build.compile.FILE": "a.gem"}
    assert claims_as_tainted(again, "deploy")
