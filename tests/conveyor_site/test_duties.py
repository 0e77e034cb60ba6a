from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from threading import Event, Lock, Thread
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.db.models.functions import Now
from django.utils import timezone
from django_celery_results.models import TaskResult

from conveyor_site.duties import (
    LEASES,
    PeriodicDuty,
    do_due_duties,
    do_duty,
    ensure_duties,
    lanes,
    postpone,
)
from conveyor_site.reconciler import Absence, DeliveryLane, Lane, Reconciler
from conveyor_site.task_results import KEPT_DAYS, remove_old_task_results
from products.errors import PlatformError
from products.identifiers import uuid7
from products.models import Duty, OutboxRow
from runs.models import Attempt
from tests import builders
from tests.waiting import at_once, until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


class Work:
    """A verb that counts its calls."""

    def __init__(self, does: Callable[[], int] = lambda: 0) -> None:
        self.calls = 0
        self._does = does
        self._lock = Lock()

    def __call__(self, limit: int) -> int:
        with self._lock:
            self.calls += 1
        return self._does()


def a_duty(name: str = "sweep", work: Work | None = None, **how: Any) -> PeriodicDuty:
    duty = PeriodicDuty(name, 60, work or Work(), portion=10, **how)
    ensure_duties([duty])
    return duty


def row(duty: PeriodicDuty) -> Duty:
    return Duty.objects.get(name=duty.name)


def seconds_until_due(duty: PeriodicDuty) -> float:
    found = Duty.objects.annotate(now=Now()).get(name=duty.name)
    return float((found.due_at - found.now).total_seconds())


def fail(error: Exception) -> Callable[[], int]:
    def raise_it() -> int:
        raise error

    return raise_it


def test_a_duty_is_done_by_one_of_many_orchestrators() -> None:
    work = Work()
    duty = a_duty(work=work)
    done = at_once(*[lambda: do_duty(duty)] * 8)
    assert sorted(map(str, done)) == ["False"] * 7 + ["True"]
    assert work.calls == 1
    assert row(duty).done_at is not None
    assert 58 < seconds_until_due(duty) <= 60


def test_a_duty_whose_orchestrator_died_is_taken_over() -> None:
    duty = a_duty()
    Duty.objects.update(claimed_until=Now() + timedelta(seconds=30))
    assert not do_duty(duty)
    Duty.objects.update(claimed_until=Now() - timedelta(seconds=1))
    assert do_duty(duty)


def test_a_duty_that_fails_keeps_its_error_and_no_other_from_being_done(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sentence = "The host git.example does not answer."
    duties = [
        a_duty("a", Work(fail(ZeroDivisionError("by zero")))),
        a_duty("b", Work(fail(PlatformError(sentence)))),
        a_duty("c", Work(fail(OperationalError("deadlock")))),
        a_duty("d"),
    ]
    with caplog.at_level(logging.ERROR):
        assert do_due_duties(duties) == 4
    errors = dict(Duty.objects.values_list("name", "error"))
    assert errors == {
        "a": "ZeroDivisionError: by zero",
        "b": sentence,
        "c": "OperationalError: deadlock",
        "d": "",
    }
    assert not Duty.objects.filter(claimed_until__isnull=False).exists()
    assert all(58 < seconds_until_due(duty) <= 60 for duty in duties)


def test_an_error_is_forgotten_when_it_goes_well_again() -> None:
    duty = a_duty()
    Duty.objects.update(error="It failed.")
    assert do_duty(duty)
    assert row(duty).error == ""


def test_a_duty_with_more_to_do_is_due_again_at_once_unless_it_waits() -> None:
    whole, part, waiting = (
        a_duty("whole", Work(lambda: 10)),
        a_duty("part", Work(lambda: 9)),
        a_duty("waiting", Work(lambda: 10), waits=True),
    )
    do_due_duties([whole, part, waiting])
    assert seconds_until_due(whole) <= 0
    assert seconds_until_due(part) > 58
    assert seconds_until_due(waiting) > 58


def test_a_duty_that_is_not_needed_is_left_undone_for_a_sweep_at_the_most() -> None:
    needed: list[bool] = []
    duty = a_duty(is_needed=lambda: bool(needed))
    assert do_due_duties([duty]) == 0
    assert seconds_until_due(duty) <= 0
    needed.append(True)
    assert do_due_duties([duty]) == 1
    needed.clear()
    Duty.objects.update(due_at=Now() - timedelta(seconds=settings.CONVEYOR_TIMES["sweep"]))
    assert do_due_duties([duty]) == 1
    assert seconds_until_due(duty) > 58


def test_what_the_duties_of_every_second_are_for_makes_them_needed() -> None:
    duties = {each.name: each for lane in lanes(settings.CONVEYOR_TIMES).values() for each in lane}
    ensure_duties(duties.values())
    quick = [duties[name] for name in ("hints", "releases", "sources")]
    assert do_due_duties(quick) == 0
    OutboxRow.objects.create(kind="hint", key="h", payload={}, due_at=Now() + timedelta(hours=1))
    assert do_due_duties(quick) == 0
    OutboxRow.objects.update(due_at=Now())
    OutboxRow.objects.create(kind="release", key="r", payload={"belt_run": str(uuid7())})
    builders.a_source()
    assert do_due_duties(quick) == 3
    assert not OutboxRow.objects.exists()


def test_only_one_of_the_lanes_that_have_nothing_to_deliver_looks_for_rows() -> None:
    looking = Lock()
    lane, other = (DeliveryLane(name, looking) for name in ("one", "other"))
    paused = Event()
    over = Event()

    def pause() -> None:
        paused.set()
        over.wait(20)

    def be_idle() -> None:
        lane.turn(pause)
        connection.close()

    thread = Thread(target=be_idle)
    thread.start()
    assert paused.wait(20)
    assert looking.locked()
    over.set()
    thread.join(20)
    assert not looking.locked()
    event = builders.an_event()
    OutboxRow.objects.create(kind="event", key="e", payload={"event": str(event.id)})
    other.turn(lambda: pytest.fail("it has something to do"))
    assert not OutboxRow.objects.exists()


def test_what_is_put_off_stays_so_even_by_who_is_at_it() -> None:
    def put_off() -> int:
        postpone("put-off", 600)
        return 0

    duty = a_duty("put-off", Work(put_off))
    assert do_duty(duty)
    assert 598 < seconds_until_due(duty) <= 600
    postpone("put-off", 10)
    assert seconds_until_due(duty) > 590


def test_only_a_long_absence_of_the_database_counts() -> None:
    absence = Absence(limit_s=0.2)
    absence.failed()
    assert not absence.was_long
    until(lambda: absence.was_long, "the absence is long")
    absence.answered()
    assert not absence.was_long


def test_after_a_long_absence_no_runner_is_called_lost_for_a_lease() -> None:
    duties = lanes(settings.CONVEYOR_TIMES)["engine"]
    ensure_duties(duties)
    attempt = builders.an_attempt(lease_until=timezone.now() - timedelta(hours=1))
    lane = Lane("engine", duties, {**settings.CONVEYOR_TIMES, "lease": 30})
    lane._absence = Absence(limit_s=0.05)
    lane._absence.failed()
    until(lambda: lane._absence.was_long, "the absence is long")
    lane.turn(lambda: None)
    assert Attempt.objects.get(pk=attempt.pk).finished_at is None
    assert 28 < seconds_until_due(duties[2]) <= 30
    assert duties[2].name == LEASES

    Duty.objects.filter(name=LEASES).update(due_at=Now())
    lane.turn(lambda: None)
    assert Attempt.objects.get(pk=attempt.pk).finished_at is not None


def test_every_duty_goes_well_where_there_is_nothing_to_do() -> None:
    duties = [duty for lane in lanes(settings.CONVEYOR_TIMES).values() for duty in lane]
    assert len({duty.name for duty in duties}) == len(duties)
    ensure_duties(duties)
    ensure_duties(duties)
    Duty.objects.update(due_at=Now() - timedelta(seconds=settings.CONVEYOR_TIMES["sweep"]))
    assert do_due_duties(duties) == len(duties)
    assert set(Duty.objects.values_list("error", flat=True)) == {""}


def test_reconciler_delivers_due_rows_until_stopped() -> None:
    times = {name: value / 20 for name, value in settings.CONVEYOR_TIMES.items()}
    run = builders.a_belt_run()
    OutboxRow.objects.create(kind="release", key="r", payload={"belt_run": str(run.id)})
    codes: list[int] = []
    reconciler = Reconciler(times)
    thread = Thread(target=lambda: codes.append(_run_and_close(reconciler)))
    thread.start()
    until(lambda: not OutboxRow.objects.exists(), "the row is delivered")
    reconciler.stop()
    thread.join(20)
    assert codes == [0]


def _run_and_close(reconciler: Reconciler) -> int:
    try:
        return reconciler.run()
    finally:
        connection.close()


def test_results_of_tasks_go_after_a_while() -> None:
    for number, age in enumerate((0, KEPT_DAYS + 1, KEPT_DAYS + 2)):
        result = TaskResult.objects.create(task_id=f"task-{number}")
        then = timezone.now() - timedelta(days=age)
        TaskResult.objects.filter(pk=result.pk).update(date_done=then)
    assert remove_old_task_results(1) == 1
    assert remove_old_task_results(10) == 1
    assert TaskResult.objects.get().task_id == "task-0"
