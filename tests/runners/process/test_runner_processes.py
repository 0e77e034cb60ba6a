from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from uuid import UUID

import pytest

from runners.models import Runner
from runners.protocol import PROTOCOL
from runs.models import Attempt
from tests.queue_server import QueueServer
from tests.runners.process.living import (
    CHILDREN,
    LivingRunner,
    Site,
    is_alive,
    processes_with,
)
from tests.waiting import until

pytestmark = pytest.mark.processes

LONG = "echo begun; sleep 60; echo over"
#: Ignores TERM, leaves its session and has children that do the same.
STUBBORN = "trap '' TERM; setsid sh -c \"trap '' TERM; sleep 61\" & echo begun; sleep 60"


def nothing_left(site: Site, attempt: Attempt) -> bool:
    """Whether no process and no folder of the attempt is there."""
    # Unlike rglob, walk bears with folders that vanish under it.
    folders = any(str(attempt.id) in names for _, names, _ in os.walk(site.work_dir))
    return not folders and not processes_with(f"CONVEYOR_ATTEMPT={attempt.id}")


def test_a_hint_starts_a_job_and_its_log_and_end_are_stored(site: Site) -> None:
    runner = site.runner()
    row = site.queue_jobs("echo hello from $CONVEYOR_JOB; exit 3")[0]
    [ended] = site.ended(row)
    assert (ended.state, ended.reason) == ("failed", "exit-status")
    assert site.log(row) == "hello from job-0\n"
    attempt = Attempt.objects.get(job_run=row)
    assert attempt.exit_code == 3
    assert attempt.isolation
    assert runner.drain() == 0
    assert Runner.objects.get().said == "offline"


def test_many_jobs_run_once_each_however_often_they_are_hinted_at(site: Site) -> None:
    marks = site.folder / "marks"
    marks.mkdir()
    marks.chmod(0o777)
    site.runner()
    rows = site.queue_jobs(*[f"mkdir {marks}/{number}" for number in range(40)], hint=False)
    for _ in range(3):
        site.hint(rows)
    assert {row.state for row in site.ended(*rows)} == {"succeeded"}
    assert len(list(marks.iterdir())) == 40
    assert Attempt.objects.count() == 40


def test_polling_finds_jobs_that_no_hint_told_of(site: Site) -> None:
    site.runner()
    row = site.queue_jobs("echo found", hint=False)[0]
    assert site.ended(row)[0].state == "succeeded"


def test_a_runner_works_without_a_queue_from_its_start_and_hears_hints_once_it_is_back(
    site: Site, queue_server: QueueServer
) -> None:
    queue_server.kill()
    runner = site.runner()
    rows = site.queue_jobs("sleep 0.5", "sleep 0.5", hint=False)
    assert {row.state for row in site.ended(*rows)} == {"succeeded"}
    queue_server.start()
    rows = site.queue_jobs("true")
    assert site.ended(*rows)[0].state == "succeeded"
    assert runner.drain() == 0


@pytest.mark.parametrize(("victim", "jobs"), [("slot1", 1), ("zygote", 2)])
def test_a_job_whose_slot_or_zygote_is_killed_is_lost_at_once_and_nothing_of_it_lives(
    site: Site, victim: str, jobs: int
) -> None:
    runner = site.runner()
    # One for each slot: which slot takes which is not said.
    rows = site.queue_jobs(STUBBORN, STUBBORN)
    attempts = {row.id: site.running(row) for row in rows}
    runner.signal(signal.SIGKILL, victim)
    until(lambda: len(site.lost(*rows)) == jobs, "what the killed process had is lost")
    gone = [attempts[row.id] for row in site.lost(*rows)]
    until(lambda: all(nothing_left(site, each) for each in gone), "nothing is left of it")
    again = site.queue_jobs("true", "true")
    assert {row.state for row in site.ended(*again)} == {"succeeded"}
    assert len(site.lost(*rows)) == jobs
    runner.ready()


def test_a_job_whose_supervisor_is_killed_is_lost_at_once_and_nothing_of_it_lives(
    site: Site,
) -> None:
    runner = site.runner()
    row = site.queue_jobs(STUBBORN)[0]
    attempt = site.running(row)
    for pid in runner.supervisors():
        os.kill(pid, signal.SIGKILL)
    [ended] = site.ended(row)
    assert (ended.state, ended.reason) == ("errored", "runner-lost")
    until(lambda: nothing_left(site, attempt), "nothing is left of the job")
    assert site.ended(*site.queue_jobs("true"))[0].state == "succeeded"


@pytest.mark.parametrize("victim", ["heart", "doorbe"])
def test_a_job_goes_on_when_the_heart_or_the_doorbell_is_killed(site: Site, victim: str) -> None:
    runner = site.runner()
    row = site.queue_jobs("echo begun; sleep 4; echo over")[0]
    site.running(row)
    runner.signal(signal.SIGKILL, victim)
    assert site.ended(row)[0].state == "succeeded"
    assert site.log(row) == "begun\nover\n"
    runner.ready()


def test_nothing_lives_on_when_the_parent_is_killed_and_its_next_start_ends_the_attempt(
    site: Site,
) -> None:
    runner = site.runner()
    row = site.queue_jobs(STUBBORN)[0]
    attempt = site.running(row)
    children = list(runner.children.values())
    runner.signal(signal.SIGKILL)
    runner.wait()
    until(lambda: not any(map(is_alive, children)), "all children are dead")
    site.runner()
    [ended] = site.ended(row, patience_s=10)
    assert (ended.state, ended.reason) == ("errored", "runner-lost")
    assert nothing_left(site, attempt)
    assert site.ended(*site.queue_jobs("true"))[0].state == "succeeded"


def test_a_draining_runner_ends_its_jobs_and_claims_no_other(site: Site) -> None:
    runner = site.runner()
    # Both slots are at work: a free one may be about to claim at the instant of the signal.
    rows = site.queue_jobs(*["echo begun; sleep 2; echo over"] * 2)
    for row in rows:
        site.running(row)
    runner.signal(signal.SIGTERM)
    until(lambda: Runner.objects.get().said == "draining", "the runner says that it drains")
    late = site.queue_jobs("true")[0]
    assert runner.wait() == 0
    assert [row.state for row in site.ended(*rows)] == ["succeeded", "succeeded"]
    assert [site.log(row) for row in rows] == ["begun\nover\n"] * 2
    assert site.state(late) == "queued"
    assert Runner.objects.get().said == "offline"


def test_a_person_can_ask_a_runner_to_drain(site: Site) -> None:
    runner = site.runner()
    site.ask_to_drain()
    assert runner.wait() == 0


@pytest.mark.parametrize(
    ("how", "why"),
    [
        (
            "second signal",
            "it was told to end while it drained, so it did not wait for running jobs",
        ),
        ("limit", "it was drained, and its time for running jobs was up"),
    ],
)
def test_a_drain_that_takes_too_long_kills_the_jobs_and_says_why(
    site: Site, how: str, why: str
) -> None:
    runner = site.runner(*(["--drain-limit", "1"] if how == "limit" else []))
    row = site.queue_jobs(STUBBORN)[0]
    attempt = site.running(row)
    runner.signal(signal.SIGTERM)
    if how == "second signal":
        until(lambda: Runner.objects.get().said == "draining", "the runner says that it drains")
        runner.signal(signal.SIGTERM)
    assert runner.wait() == 3
    [ended] = site.ended(row)
    assert (ended.state, ended.reason) == ("errored", "runner-lost")
    assert ended.message == f"The runner ended the job: {why}."
    assert nothing_left(site, attempt)


def test_a_cancelled_job_is_killed_soon(site: Site) -> None:
    site.runner()
    row = site.queue_jobs(STUBBORN)[0]
    attempt = site.running(row)
    type(row).objects.filter(id=row.id).update(
        cancel_requested_at=attempt.claimed_at, cancel_requested_by="Eve"
    )
    [ended] = site.ended(row)
    assert (ended.state, ended.reason) == ("cancelled", "cancel-requested")
    assert ended.message == "Cancelled by Eve."
    until(lambda: nothing_left(site, attempt), "nothing is left of the job")


@pytest.mark.parametrize(("frozen", "jobs"), [("slot1", 1), ("heart", 2), (None, 2)])
def test_a_job_dies_in_time_when_the_runner_cannot_renew_its_lease(
    site: Site, frozen: str | None, jobs: int
) -> None:
    runner = site.runner()
    # One for each slot: which slot takes which is not said.
    rows = site.queue_jobs(STUBBORN, STUBBORN)
    leases = {attempt.id: attempt.lease_until for attempt in map(site.running, rows)}

    def dead() -> list[UUID]:
        return [each for each in leases if not processes_with(f"CONVEYOR_ATTEMPT={each}")]

    pid = runner.children[frozen] if frozen else runner.process.pid
    os.kill(pid, signal.SIGSTOP)
    until(lambda: len(dead()) >= jobs, "what cannot be renewed is dead")
    assert len(dead()) == jobs
    # Nothing was renewed once the process stood still, or once what it had sent was used up.
    for attempt in Attempt.objects.filter(id__in=leases):
        assert attempt.lease_until >= leases[attempt.id]
    # Its parent may have killed a child that stood still for so long.
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def test_an_attempt_that_another_ended_is_killed_here(site: Site) -> None:
    site.runner()
    row = site.queue_jobs(STUBBORN)[0]
    attempt = site.running(row)
    Attempt.objects.filter(id=attempt.id).update(
        state="errored", active_key=None, finished_at=attempt.claimed_at
    )
    until(lambda: nothing_left(site, attempt), "the job is dead")
    assert site.state(row) == "running"


def test_a_second_runner_of_that_name_is_refused(site: Site) -> None:
    site.runner("--name", "one")
    second = site.start_runner("--name", "one")
    assert second.wait() == 1
    assert "A runner named one runs on this machine already." in second.said
    assert "Traceback" not in second.said


def test_a_second_runner_of_that_name_on_another_machine_is_refused(site: Site) -> None:
    site.runner("--name", "one")
    elsewhere = {"CONVEYOR_WORK_DIR": str(site.folder / "elsewhere")}
    second = site.start_runner("--name", "one", **elsewhere)
    assert second.wait() == 1
    assert "A runner named one runs on" in second.said
    assert "--name" in second.said


def test_a_runner_whose_name_was_taken_over_ends_with_its_jobs(site: Site) -> None:
    runner = site.runner()
    row = site.queue_jobs(STUBBORN)[0]
    attempt = site.running(row)
    Runner.objects.update(boot_id=attempt.id)
    assert runner.wait() == 1
    assert "taken over its name" in runner.said
    until(lambda: not processes_with(f"CONVEYOR_ATTEMPT={attempt.id}"), "the job is dead")


def test_a_runner_without_a_database_says_so_and_ends(site: Site) -> None:
    runner = site.start_runner(CONVEYOR_DATABASE_URL="postgres://nobody@127.0.0.1:1/none")
    assert runner.wait() == 1
    assert "The database cannot be used" in runner.said
    assert "Traceback" not in runner.said


def test_slots_never_run_more_jobs_than_there_are_slots(site: Site) -> None:
    site.runner()
    rows = site.queue_jobs(*["sleep 0.3"] * 6)
    deadline = time.monotonic() + 20
    most = 0
    while any(site.state(row) in ("queued", "running", "starting") for row in rows):
        alive = Attempt.objects.filter(active_key__isnull=False).count()
        most = max(most, alive)
        assert time.monotonic() < deadline
    assert most == 2


def test_the_runner_shows_itself_with_all_that_others_want_to_know(site: Site) -> None:
    runner: LivingRunner = site.runner("--queues", "gpu,default", "--name", "a-runner")
    shown = Runner.objects.get()
    assert (shown.name, shown.queues, shown.slots, shown.said) == (
        "a-runner",
        ["gpu", "default"],
        2,
        "online",
    )
    assert shown.protocol == PROTOCOL
    assert shown.isolation_report
    assert set(runner.children) == set(CHILDREN)
