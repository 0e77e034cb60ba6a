"""Repeating a belt run: another round of its number, on its frozen plan."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from belts.models import Belt
from products.models import Product
from runs.cancel import cancel_belt_run
from runs.creation import NewRun, create_belt_run
from runs.errors import (
    BeltArchivedError,
    NothingToRerunError,
    RunUnfinishedError,
    RunUnresolvedError,
)
from runs.models import BeltRun, Output
from runs.rerun import rerun_belt_run
from tests import builders
from tests.engine import (
    Worker,
    belt_named,
    consumed,
    deliver_all,
    edge_of,
    job_of,
    publish_text,
    runs_of,
    start,
    start_text,
    state,
    states,
    work_off,
)

pytestmark = [pytest.mark.django_db, pytest.mark.database]

GEM = """
    product: gem
    belts:
      - name: build
        jobs:
          - {name: compile, commands: make, outputs: [{String: FILE}]}
          - {name: pack, commands: "pack ${compile.FILE}", outputs: [{String: PACK}]}
          - {name: lint, commands: make lint}
        downstreams: [{downstream-product: site, belts: deploy}]
"""
SITE = """
    product: site
    belts:
      - name: deploy
        jobs:
          - {name: deploy, commands: "use ${gem.build.compile.FILE}"}
"""


def half_failed(**how: object) -> BeltRun:
    """Return a run whose job ``pack`` failed and the others succeeded."""
    run = start_text(GEM, **how)
    worker = Worker()
    worker.do(run, "compile", FILE="one.gem")
    worker.do(run, "pack", "failed")
    worker.do(run, "lint")
    return run


def test_a_repeat_is_the_next_round_of_the_same_number_on_the_same_plan() -> None:
    run = half_failed(parameters={"MODE": "slow"})
    BeltRun.objects.filter(id=run.id).update(commit="c" * 40, ref="refs/heads/x", branch="x")
    publish_text(GEM.replace("make lint", "other"))
    again = rerun_belt_run(run, by="Eve")
    assert (again.number, again.round, again.rerun_of) == (1, 2, run)
    assert (again.commit, again.ref, again.branch) == ("c" * 40, "refs/heads/x", "x")
    assert again.definition_id == run.definition_id
    assert again.parameters == {"MODE": "slow"}
    assert again.cause == "gem.build #1 again, asked for by Eve."
    assert states(again) == {"compile": "queued", "pack": "waiting", "lint": "queued"}
    assert rerun_is_labelled(again)


def rerun_is_labelled(run: BeltRun) -> bool:
    return str(run) == "gem.build #1 round 2"


def test_run_of_an_archived_product_is_not_repeated() -> None:
    run = half_failed()
    Product.objects.update(archived_at=Now())
    with pytest.raises(BeltArchivedError, match=r"The product gem is archived\. Restore it"):
        rerun_belt_run(run)
    assert runs_of("gem.build") == [run]


def test_run_of_an_archived_belt_is_repeated_on_its_plan() -> None:
    run = half_failed()
    Belt.objects.filter(name="build").update(archived_at=Now())
    assert states(rerun_belt_run(run))["compile"] == "queued"


def test_a_repeat_of_a_repeat_is_the_third_round() -> None:
    run = half_failed()
    again = rerun_belt_run(run)
    cancel_belt_run(again, by="Eve")
    third = rerun_belt_run(again)
    assert (third.round, third.rerun_of) == (3, again)
    fourth_of_first = rerun_belt_run(run)
    assert (fourth_of_first.round, fourth_of_first.rerun_of) == (4, run)
    assert Belt.objects.get(name="build").last_number == 1


def test_the_first_round_stays_as_it_was() -> None:
    run = half_failed()
    before = states(run)
    work_off(Worker(), lambda _: {"FILE": "two.gem", "PACK": "p"})
    again = rerun_belt_run(run)
    work_off(Worker(), lambda _: {"FILE": "two.gem", "PACK": "p"})
    assert (states(run), state(run)) == (before, "failed")
    assert state(again) == "succeeded"
    assert Output.objects.get(job_run=job_of(run, "compile")).value == "one.gem"


def test_rerun_repeats_failed_jobs_and_references_other_outputs() -> None:
    run = half_failed()
    again = rerun_belt_run(run, only_failed=True)
    assert states(again) == {"compile": "succeeded", "pack": "queued", "lint": "succeeded"}
    kept = job_of(again, "compile")
    assert (kept.reused_from, kept.reason) == (job_of(run, "compile"), "reused")
    assert kept.message == "Kept from round 1."
    assert consumed(again, "pack") == {"compile.FILE": "one.gem"}
    assert not kept.outputs.exists()
    assert job_of(again, "pack").consumed.get().output == Output.objects.get(name="FILE")
    Worker().do(again, "pack", PACK="p")
    assert state(again) == "succeeded"


def test_a_repeat_that_keeps_many_jobs_asks_no_more_of_the_database_for_each() -> None:
    def statements(jobs: int) -> int:
        names = [f"{{name: j{n}, commands: a}}" for n in range(jobs)]
        run = start_text(
            f"product: wide{jobs}\nbelts: [{{name: build, jobs: [{', '.join(names)}]}}]"
        )
        worker = Worker()
        for number in range(jobs - 1):
            worker.do(run, f"j{number}")
        worker.do(run, f"j{jobs - 1}", "failed")
        rerun_belt_run(run, only_failed=True)
        with CaptureQueriesContext(connection) as seen:
            rerun_belt_run(run, only_failed=True)
        return len(seen)

    assert statements(3) == statements(7)


def test_reused_job_is_reused_again_from_its_origin() -> None:
    run = half_failed()
    again = rerun_belt_run(run, only_failed=True)
    Worker().do(again, "pack", "failed")
    third = rerun_belt_run(again, only_failed=True)
    assert job_of(third, "compile").reused_from == job_of(run, "compile")
    assert consumed(third, "pack") == {"compile.FILE": "one.gem"}


def test_whole_repeat_of_a_partial_one_has_all_suppliers() -> None:
    publish_text(GEM)
    publish_text(f"{SITE.rstrip()}\n          - {{name: check, inputs: deploy, commands: make}}\n")
    worker = Worker()
    start("gem.build", continue_downstream=False)
    work_off(worker, lambda _: {"FILE": "one.gem", "PACK": "p"})
    run = start("site.deploy")
    worker.do(run, "deploy")
    worker.do(run, "check", "failed")
    partial = rerun_belt_run(run, only_failed=True)
    worker.do(partial, "check", "failed")
    whole = rerun_belt_run(partial)
    assert states(whole) == {"deploy": "queued", "check": "waiting"}
    assert consumed(whole, "deploy") == {"gem.build.compile.FILE": "one.gem"}


def test_values_of_reused_jobs_supply_other_runs() -> None:
    run = half_failed()
    publish_text(SITE)
    again = rerun_belt_run(run, only_failed=True)
    Worker().do(again, "pack", PACK="p")
    there = start("site.deploy")
    assert consumed(there, "deploy") == {"gem.build.compile.FILE": "one.gem"}


def test_a_repeat_fires_its_edges_again_unless_asked_not_to() -> None:
    publish_text(SITE)
    run = start_text(GEM)
    worker = Worker()
    work_off(worker, lambda _: {"FILE": "f", "PACK": "p"})
    assert len(runs_of("site.deploy")) == 1
    again = rerun_belt_run(run)
    work_off(worker, lambda _: {"FILE": "g", "PACK": "p"})
    first, second = runs_of("site.deploy")
    assert (second.upstream, second.number) == (again, 2)
    assert consumed(second, "deploy") == {"gem.build.compile.FILE": "g"}
    assert consumed(first, "deploy") == {"gem.build.compile.FILE": "f"}
    third = rerun_belt_run(run, continue_downstream=False)
    work_off(worker, lambda _: {"FILE": "h", "PACK": "p"})
    assert len(runs_of("site.deploy")) == 2
    assert "do not continue downstream" in edge_of(third, "site.deploy").note


def test_reused_job_starts_its_downstream_belt_again() -> None:
    publish_text(SITE)
    text = GEM.replace(
        "commands: make lint}",
        "commands: make lint, downstreams: [{downstream-product: site, belts: deploy}]}",
    ).replace("    downstreams: [{downstream-product: site, belts: deploy}]\n", "")
    run = start_text(text)
    worker = Worker()
    worker.do(run, "compile", FILE="f")
    worker.do(run, "pack", "failed")
    worker.do(run, "lint")
    deliver_all()
    rerun_belt_run(run, only_failed=True)
    deliver_all()
    assert len(runs_of("site.deploy")) == 2


def test_a_repeat_of_a_downstream_run_has_the_same_supplier_and_chain() -> None:
    publish_text(SITE)
    root = start_text(GEM)
    worker = Worker()
    work_off(worker, lambda _: {"FILE": "f", "PACK": "p"})
    [there] = runs_of("site.deploy")
    start("gem.build", continue_downstream=False)
    work_off(worker, lambda _: {"FILE": "newer", "PACK": "p"})
    again = rerun_belt_run(there)
    assert consumed(again, "deploy") == {"gem.build.compile.FILE": "f"}
    assert (again.root_id, again.depth, again.upstream) == (root.id, 1, None)


def test_what_follows_a_repeat_finds_its_supplier_through_what_was_repeated() -> None:
    """Root → middle → (repeated middle) → last: the root still supplies the last."""
    publish_text(
        SITE.replace("use ${gem.build.compile.FILE}", "use").replace(
            "jobs:",
            "downstreams: [{downstream-product: last, belts: end}]\n        jobs:",
        )
    )
    publish_text(SITE.replace("product: site", "product: last").replace("deploy", "end"))
    start_text(GEM)
    worker = Worker()
    work_off(worker, lambda _: {"FILE": "root", "PACK": "p"})
    start("gem.build", continue_downstream=False)
    work_off(worker, lambda _: {"FILE": "newer", "PACK": "p"})
    [middle] = runs_of("site.deploy")
    rerun_belt_run(middle)
    work_off(worker)
    assert [consumed(run, "end") for run in runs_of("last.end")] == [
        {"gem.build.compile.FILE": "root"},
        {"gem.build.compile.FILE": "root"},
    ]


def test_what_has_not_ended_is_not_repeated_and_what_succeeded_has_nothing_failed() -> None:
    run = start_text(GEM)
    with pytest.raises(RunUnfinishedError, match=r"not finished yet \(pending\)"):
        rerun_belt_run(run)
    work_off(Worker(), lambda _: {"FILE": "f", "PACK": "p"})
    with pytest.raises(NothingToRerunError, match=r"Every job of gem\.build #1 succeeded"):
        rerun_belt_run(run, only_failed=True)
    assert rerun_belt_run(run).round == 2


def test_user_of_a_rerun_is_stored() -> None:
    run = half_failed()
    user = builders.a_user("eve")
    again = rerun_belt_run(run, user=user)
    assert (again.started_by, again.cause) == (user, "gem.build #1 again, asked for by eve.")


# --- What never could be run ----------------------------------------------------------------------
DANGLING = """
    product: image
    belts:
      - name: build
        jobs:
          - {name: bake, commands: "bake ${gem.build.NO_SUCH}"}
          - {name: fetch, inputs: nowhere, commands: "true"}
          - {name: tell, commands: "true"}
"""


def never_resolved() -> BeltRun:
    """Return a run without a caller, whose references were unresolved at its creation."""
    publish_text(GEM)
    publish_text(DANGLING)
    belt = belt_named("image.build")
    run = create_belt_run(NewRun(belt, belt.product.definitions.get(), cause="An event."))
    assert states(run) == {"bake": "errored", "fetch": "errored", "tell": "skipped"}
    return run


@pytest.mark.parametrize("only_failed", [False, True])
def test_a_run_whose_names_meant_nothing_is_not_repeated_and_the_sentence_says_what_helps(
    only_failed: bool,
) -> None:
    run = never_resolved()
    with pytest.raises(RunUnresolvedError) as caught:
        rerun_belt_run(run, only_failed=only_failed)
    sentence = str(caught.value)
    assert sentence.startswith("image.build #1 cannot be repeated, because ")
    assert job_of(run, "bake").message in sentence
    assert job_of(run, "fetch").message in sentence
    assert sentence.endswith("Fix the belt file and start the belt again.")
    assert BeltRun.objects.count() == 1
    assert Worker().claim() is None


def test_what_means_something_by_now_is_not_part_of_the_plan_either() -> None:
    run = never_resolved()
    publish_text(GEM.replace("String: PACK}]", "String: PACK}, {String: NO_SUCH}]"))
    with pytest.raises(RunUnresolvedError):
        rerun_belt_run(run)


def test_a_run_that_lacked_a_value_is_repeated_and_lacks_it_again() -> None:
    """Its names meant something: whether the value is there is seen when a job becomes ready."""
    publish_text(GEM)
    publish_text(SITE)
    run = start("site.deploy")
    assert states(run) == {"deploy": "errored"}
    again = rerun_belt_run(run)
    assert states(again) == {"deploy": "errored"}
    assert job_of(again, "deploy").message == job_of(run, "deploy").message
