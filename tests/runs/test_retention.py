"""Removing what is older than the site keeps, and nothing that others still need."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from products.models import Configuration, Event
from runs.chains import state_of, whole_chain
from runs.models import BeltRun, Consumption, JobRun, LogChunk, Output, RunEvent
from runs.rerun import rerun_belt_run
from runs.retention import remove_old_events, remove_old_runs
from tests import builders
from tests.engine import (
    Worker,
    consumed,
    deliver_all,
    job_of,
    pass_time,
    publish_text,
    runs_of,
    start,
    state,
    work_off,
)

pytestmark = [pytest.mark.django_db, pytest.mark.database]

OUTPUTS = {"FILE": "f", "PACK": "p"}
GEM = """
    product: gem
    belts:
      - name: build
        jobs:
          - {name: compile, commands: make, outputs: [{String: FILE}]}
          - {name: pack, commands: "pack ${compile.FILE}", outputs: [{String: PACK}]}
"""
SITE = """
    product: site
    belts:
      - name: deploy
        jobs:
          - {name: deploy, commands: "use ${gem.build.compile.FILE}"}
"""
DAY = 24 * 3600


@pytest.fixture(autouse=True)
def _ten_days() -> None:
    Configuration.objects.create(pk=1, retention_days=10)


def finished(file: str = "f", *, outcome: str = "succeeded", **fields: Any) -> BeltRun:
    run = start("gem.build")
    BeltRun.objects.filter(id=run.id).update(**fields)
    worker = Worker()
    worker.do(run, "compile", FILE=file)
    worker.do(run, "pack", outcome, PACK="p")
    return run


def kept() -> set[BeltRun]:
    while remove_old_runs():
        pass
    return set(BeltRun.objects.all())


def test_runs_that_ended_longer_ago_than_the_site_keeps_them_are_removed_with_all_of_theirs() -> (
    None
):
    publish_text(GEM)
    old = finished()
    builders.a_log(job_of(old, "pack").attempts.get(), "a", "b")
    pass_time(11 * DAY)
    new = finished()
    assert kept() == {new}
    assert not JobRun.objects.exclude(belt_run=new).exists()
    assert not LogChunk.objects.exists()
    assert set(RunEvent.objects.values_list("belt_run_id", flat=True)) == {new.id}
    assert Output.objects.exclude(job_run__belt_run=new).count() == 0


def test_young_runs_and_unfinished_ones_stay() -> None:
    publish_text(GEM)
    first, second = finished(), finished()
    pass_time(9 * DAY)
    unfinished = start("gem.build")
    assert kept() == {first, second, unfinished}
    pass_time(300 * DAY)
    assert unfinished in kept()


def test_a_site_may_keep_everything() -> None:
    Configuration.objects.update(retention_days=0)
    publish_text(GEM)
    runs = {finished(), finished()}
    pass_time(1000 * DAY)
    assert kept() == runs


def test_it_goes_in_small_batches() -> None:
    publish_text(GEM)
    for _ in range(4):
        finished(outcome="failed")
    pass_time(11 * DAY)
    assert [remove_old_runs(limit=3), remove_old_runs(limit=3), remove_old_runs(limit=3)] == [
        3,
        1,
        0,
    ]


def test_the_newest_success_that_supplies_others_stays_however_old() -> None:
    publish_text(GEM)
    finished("older.gem")
    newest = finished("newest.gem")
    finished("broken.gem", outcome="failed")
    pass_time(11 * DAY)
    assert kept() == {newest}
    publish_text(SITE)
    assert consumed(start("site.deploy"), "deploy") == {"gem.build.compile.FILE": "newest.gem"}


@pytest.mark.parametrize("fields", [{"on_default_branch": False}, {"tainted": True}])
def test_newer_run_of_a_branch_or_fork_replaces_no_supplier(
    fields: dict[str, Any],
) -> None:
    publish_text(GEM)
    good = finished("main.gem")
    finished("other.gem", **fields)
    pass_time(11 * DAY)
    assert good in kept()


def test_a_run_that_a_waiting_job_takes_values_from_stays() -> None:
    publish_text(GEM)
    publish_text(
        """
        product: site
        belts:
          - name: deploy
            jobs:
              - {name: gate, commands: "true"}
              - name: deploy
                commands: "use ${gem.build.compile.FILE}"
                inputs: [gate, {from: gem.build, build: 1}]
        """
    )
    supplier = finished("old.gem")
    finished("new.gem")
    consumer = start("site.deploy")
    pass_time(11 * DAY)
    assert supplier in kept()
    Worker().do(consumer, "gate")
    assert consumed(consumer, "deploy") == {"gem.build.compile.FILE": "old.gem"}


def test_rerun_has_the_values_of_a_removed_supplier() -> None:
    publish_text(GEM)
    publish_text(SITE)
    supplier = finished("old.gem")
    consumer = start("site.deploy")
    Worker().do(consumer, "deploy", "failed")
    pass_time(11 * DAY, only=[BeltRun])
    finished("new.gem")
    BeltRun.objects.filter(id=consumer.id).update(finished_at=Now())
    assert supplier not in kept()
    again = rerun_belt_run(consumer)
    assert consumed(again, "deploy") == {"gem.build.compile.FILE": "old.gem"}
    row = job_of(again, "deploy").consumed.get()
    assert row.supplier_label == "gem.build #1: compile"
    Worker().do(again, "deploy", "failed")
    third = rerun_belt_run(again)
    assert consumed(third, "deploy") == {"gem.build.compile.FILE": "old.gem"}


def test_whole_repeat_of_a_partial_one_has_the_values_of_a_removed_supplier() -> None:
    publish_text(GEM)
    publish_text(f"{SITE.rstrip()}\n          - {{name: check, inputs: deploy, commands: make}}\n")
    supplier = finished("old.gem")
    consumer = start("site.deploy")
    worker = Worker()
    worker.do(consumer, "deploy")
    worker.do(consumer, "check", "failed")
    partial = rerun_belt_run(consumer, only_failed=True)
    worker.do(partial, "check", "failed")
    pass_time(11 * DAY, only=[BeltRun])
    finished("new.gem")
    BeltRun.objects.filter(id__in=[consumer.id, partial.id]).update(finished_at=Now())
    assert supplier not in kept()
    whole = rerun_belt_run(partial)
    assert consumed(whole, "deploy") == {"gem.build.compile.FILE": "old.gem"}


def test_a_repeat_that_was_never_given_the_value_says_that_its_supplier_is_gone() -> None:
    publish_text(GEM)
    publish_text(SITE)
    finished("old.gem")
    consumer = start("site.deploy")
    Consumption.objects.all().delete()
    Worker().do(consumer, "deploy", "failed")
    pass_time(11 * DAY, only=[BeltRun])
    finished("new.gem")
    BeltRun.objects.filter(id=consumer.id).update(finished_at=Now())
    kept()
    row = job_of(rerun_belt_run(consumer), "deploy")
    assert (row.state, row.reason) == ("errored", "input-missing")
    assert row.message == (
        "The run of gem.build that supplies ${gem.build.compile.FILE} is no longer kept."
    )


def test_round_with_referenced_outputs_stays() -> None:
    publish_text(GEM)
    publish_text(SITE)
    first = finished("one.gem", outcome="failed")
    pass_time(11 * DAY)
    again = rerun_belt_run(first, only_failed=True)
    Worker().do(again, "pack", PACK="p")
    assert kept() == {first, again}
    assert consumed(start("site.deploy"), "deploy") == {"gem.build.compile.FILE": "one.gem"}


def test_an_edge_whose_downstream_run_was_removed_says_so_and_starts_no_other() -> None:
    publish_text(SITE.replace("use ${gem.build.compile.FILE}", "fail"))
    publish_text(GEM + "        downstreams: [{downstream-product: site, belts: deploy}]\n")
    root = start("gem.build")
    worker = Worker()
    worker.do(root, "compile", FILE="f")
    worker.do(root, "pack", PACK="p")
    deliver_all()
    [there] = runs_of("site.deploy")
    worker.do(there, "deploy", "failed")
    pass_time(11 * DAY)
    assert kept() == {root}
    edge = root.edges.get()
    assert edge.closed_at is not None
    assert edge.note == "The run that it started is no longer kept."
    assert not state_of(whole_chain(root)).is_open
    work_off(worker)
    assert runs_of("site.deploy") == []
    assert state(root) == "succeeded"


def test_old_events_without_runs_are_removed() -> None:
    product = publish_text(GEM)
    old, fresh, used, waiting = (builders.an_event(product) for _ in range(4))
    Event.objects.exclude(id=waiting.id).update(handled_at=Now())
    Event.objects.exclude(id=fresh.id).update(created_at=Now() - timedelta(days=20))
    Event.objects.filter(id__in=[old.id, used.id]).update(handled_at=Now() - timedelta(days=20))
    builders.a_belt_run(event=used)
    assert remove_old_events() == 1
    assert set(Event.objects.all()) == {fresh, used, waiting}
