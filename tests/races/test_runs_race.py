"""Many at one belt run, one cause, one reaper's work, from one instant on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from threading import Event

import pytest
from django.db.models.functions import Now

from belts.models import Belt, Trigger
from products.models import OutboxRow
from runs.cancel import cancel_belt_run
from runs.downstream import start_downstream
from runs.errors import RunFinishedError
from runs.finish import finish_attempt
from runs.models import Attempt, BeltRun, Consumption, Edge, JobRun, RunEvent
from runs.reaper import (
    end_unserved_job_runs,
    force_cancels,
    lose_expired_attempts,
    settle_stragglers,
    write_hints_again,
)
from runs.release import release_belt_run
from runs.rerun import rerun_belt_run
from runs.retention import remove_old_runs
from runs.states import JobRunState as S
from runs.states import Reason
from runs.transitions import JobKey, Why, moving
from runs.triggers import start_for_event
from tests import builders
from tests.engine import (
    Worker,
    an_end,
    deliver_all,
    pass_time,
    publish_text,
    runs_of,
    start,
    state,
    states,
    work_off,
)
from tests.invariants import assert_invariants
from tests.races.locks import until_somebody_waits
from tests.waiting import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

GEM = """
    product: gem
    triggers:
      - scm-event: {type: push}
        belts: build
    belts:
      - name: build
        jobs:
          - {name: compile, commands: make, outputs: [{String: FILE}]}
          - {name: check, inputs: compile, commands: make check}
        downstreams: [{downstream-product: site, belts: deploy}]
"""
SITE = """
    product: site
    belts:
      - name: deploy
        jobs:
          - name: deploy
            commands: "use ${gem.build.compile.FILE}"
            inputs: [{from: gem.build, build: last}]
"""
OUTPUTS = {"FILE": "a.gem"}
ROUNDS = range(6)


def raised(results: Iterable[object]) -> list[Exception]:
    return [each for each in results if isinstance(each, Exception)]


def test_an_event_that_is_handled_by_many_at_once_starts_each_belt_once() -> None:
    product = publish_text(GEM)
    source = builders.a_source(product)
    event = builders.an_event(product, source=source, kinds=["push"])
    results = at_once(*[partial(start_for_event, event.id)] * 8)
    assert raised(results) == []
    assert BeltRun.objects.filter(event=event).count() == 1
    assert Belt.objects.get(product=product).last_number == 1


def test_an_edge_that_is_delivered_to_many_at_once_starts_one_run() -> None:
    publish_text(SITE)
    publish_text(GEM)
    run = start("gem.build")
    worker = Worker()
    worker.do(run, "compile", FILE="a.gem")
    worker.do(run, "check")
    edge = Edge.objects.get(upstream=run)
    results = at_once(*[partial(start_downstream, edge.id)] * 8)
    assert raised(results) == []
    [there] = runs_of("site.deploy")
    edge.refresh_from_db()
    assert edge.started == there
    OutboxRow.objects.all().delete()


def test_runs_of_a_belt_that_are_created_at_once_have_numbers_without_a_gap() -> None:
    publish_text(GEM)
    results = at_once(*[partial(start, "gem.build")] * 10)
    assert raised(results) == []
    assert sorted(run.number for run in runs_of("gem.build")) == list(range(1, 11))


def test_rounds_of_a_run_that_are_asked_for_at_once_are_all_made() -> None:
    publish_text(GEM)
    run = start("gem.build", continue_downstream=False)
    worker = Worker()
    worker.do(run, "compile", FILE="a.gem")
    worker.do(run, "check", "failed")
    results = at_once(*[partial(rerun_belt_run, run, only_failed=bool(n % 2)) for n in range(8)])
    assert raised(results) == []
    assert sorted(each.round for each in runs_of("gem.build")) == list(range(1, 10))


def test_a_supplier_that_ends_while_its_consumer_is_created_is_not_missed() -> None:
    publish_text(GEM)
    publish_text(SITE)
    for _ in ROUNDS:
        supplier = start("gem.build", continue_downstream=False)
        worker = Worker()
        attempt_id = worker.begun(supplier, "compile")
        results = at_once(
            partial(start, "site.deploy"),
            partial(finish_attempt, attempt_id, an_end(outputs=OUTPUTS)),
        )
        assert raised(results) == []
        consumer = runs_of("site.deploy")[-1]
        deliver_all()
        assert states(consumer) == {"deploy": "queued"}
        assert Consumption.objects.filter(consumer__belt_run=consumer).count() == 1
        cancel_belt_run(supplier, by="a test")


def test_a_run_that_many_look_at_again_releases_and_settles_once() -> None:
    publish_text(GEM)
    publish_text(SITE)
    supplier = start("gem.build", continue_downstream=False)
    consumers = [start("site.deploy") for _ in range(3)]
    work_off(Worker(), lambda _: OUTPUTS, deliveries=False)
    assert state(supplier) == "succeeded"
    looks = [partial(release_belt_run, run.id) for run in consumers for _ in range(4)]
    results = at_once(*looks, settle_stragglers, settle_stragglers)
    assert raised(results) == []
    for run in consumers:
        assert states(run) == {"deploy": "queued"}
        assert RunEvent.objects.filter(belt_run=run, new="queued").count() == 1


def test_reapers_that_find_the_same_lost_attempts_end_each_once() -> None:
    publish_text(GEM)
    for _ in range(4):
        Worker().begun(start("gem.build", continue_downstream=False), "compile")
        Worker().claimed(start("gem.build", continue_downstream=False), "compile")
    pass_time(80)
    results = at_once(*[lose_expired_attempts] * 4)
    assert raised(results) == []
    assert sum(each for each in results if isinstance(each, int)) == 8
    assert JobRun.objects.filter(name="compile", state="errored").count() == 4
    assert JobRun.objects.filter(name="compile", state="queued", last_attempt=1).count() == 4


def test_a_reaper_and_a_runner_that_comes_back_leave_one_end() -> None:
    publish_text(GEM)
    for _ in ROUNDS:
        run = start("gem.build", continue_downstream=False)
        attempt_id = Worker().begun(run, "compile")
        pass_time(80, only=[Attempt])
        lost, ended = at_once(
            lose_expired_attempts,
            partial(finish_attempt, attempt_id, an_end(outputs=OUTPUTS)),
        )
        assert raised([lost, ended]) == []
        expected = "errored" if lost else "succeeded"
        assert states(run)["compile"] == expected
        if state(run) == "running":
            cancel_belt_run(run, by="a test")


def test_reapers_of_unserved_jobs_and_runners_that_claim_them_do_not_both_have_them() -> None:
    publish_text(GEM)
    for _ in range(6):
        start("gem.build", continue_downstream=False)
    pass_time(100 * 3600, only=[JobRun])
    claims = [Worker().claim for _ in range(3)]
    results = at_once(end_unserved_job_runs, end_unserved_job_runs, *claims)
    assert raised(results) == []
    rows = JobRun.objects.filter(name="compile")
    assert {row.state for row in rows} <= {"starting", "errored"}


def test_cancels_of_one_run_by_many_end_it_once() -> None:
    publish_text(GEM)
    run = start("gem.build")
    results = at_once(*[partial(cancel_belt_run, run, by=f"person {n}") for n in range(8)])
    assert results.count(None) == 1
    assert all(isinstance(each, RunFinishedError) for each in raised(results))
    assert RunEvent.objects.filter(belt_run=run, job_run=None, new="cancelled").count() == 1


def test_publishing_a_definition_while_runs_are_created_stops_neither() -> None:
    publish_text(GEM)
    other = GEM.replace("make check", "other check").replace(
        "- name: build", "- name: build\n        description: Another."
    )
    for number in ROUNDS:
        texts = (other, GEM) if number % 2 else (GEM, other)
        publish_text(texts[0])
        results = at_once(
            partial(publish_text, texts[1]),
            *[partial(start, "gem.build", continue_downstream=False)] * 4,
        )
        assert raised(results) == []
    assert Trigger.objects.count() == 1


def test_a_mix_of_all_that_happens_at_once_breaks_nothing_and_waits_for_nobody_in_a_ring() -> None:
    """No deadlock: every transaction takes what it locks in the one order."""
    publish_text(SITE)
    publish_text(GEM)
    for _ in range(3):
        for _ in range(4):
            start("gem.build")
        worker = Worker()
        begun = [worker.claim() for _ in range(2)]
        pass_time(40, only=[JobRun])
        calls: list[Callable[[], object]] = [
            *[partial(_work, 6) for _ in range(5)],
            *[partial(cancel_belt_run, run, by="Eve") for run in runs_of("gem.build")[-2:]],
            partial(_each, write_hints_again, 10),
            partial(_each, settle_stragglers, 10),
            partial(_each, lose_expired_attempts, 5),
            partial(_each, force_cancels, 5),
            partial(_each, remove_old_runs, 5),
            partial(start, "site.deploy"),
            partial(start, "gem.build"),
        ]
        results = at_once(*calls)
        assert [each for each in raised(results) if not isinstance(each, RunFinishedError)] == []
        assert len(begun) == 2
        assert_invariants()
    pass_time(200)
    lose_expired_attempts()
    work_off(Worker(), lambda _: OUTPUTS)
    assert_invariants(drained=True)


def _work(count: int) -> None:
    worker = Worker()
    for _ in range(count):
        claim = worker.claim()
        while claim is not None:
            from_now = worker.start(claim)
            end = an_end(outputs=OUTPUTS)
            claim = (
                finish_attempt(claim.attempt_id, end, claim_next=worker.wish()).claim
                if from_now
                else None
            )


def _each(verb: Callable[[], object], count: int) -> None:
    for _ in range(count):
        verb()


@pytest.mark.parametrize("first", [0, -1])
def test_who_announces_queued_jobs_again_holds_none_while_it_waits_for_another(first: int) -> None:
    """Else it and somebody who moves several jobs of a run could wait for one another."""
    publish_text(
        """
        product: wide
        belts:
          - name: build
            jobs: [{name: a, commands: a}, {name: b, commands: b}, {name: c, commands: c}]
        """
    )
    run = start("wide.build")
    pass_time(40, only=[JobRun])
    rows = list(run.job_runs.order_by("position"))
    keys = [JobKey(row.id, row.name, row.queue) for row in (rows[first], rows[-1 - first])]
    held = Event()

    def move() -> None:
        why = Why(Reason.CANCEL_REQUESTED, "Cancelled by a test.")
        with moving(run.id) as moves:
            for number, key in enumerate(keys):
                assert moves.job(key, S.QUEUED, S.CANCELLED, why, cancel_requested_at=Now())
                if number == 0:
                    held.set()
                    until_somebody_waits()

    def announce() -> int:
        assert held.wait(10)
        return write_hints_again()

    moved, announced = at_once(move, announce)
    assert raised([moved, announced]) == []
    assert Worker().claim() is not None
