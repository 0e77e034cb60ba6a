from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from conveyor_site.following import follow
from runs.models import Attempt, BeltRun, Edge, JobRun
from tests.builders import (
    a_belt,
    a_belt_run,
    a_log,
    a_product,
    an_attempt,
    an_edge,
)
from tests.waiting import at_once, until

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def a_run(name: str, state: str = "succeeded", *, upstream: BeltRun | None = None) -> BeltRun:
    belt = a_belt("build", product=a_product(name))
    return a_belt_run({"compile": state}, belt=belt, upstream=upstream, cause="By hand.")


def ended_attempt(run: BeltRun, *pieces: str | bytes, state: str = "succeeded") -> Attempt:
    attempt = an_attempt(JobRun.objects.get(belt_run=run), state)
    a_log(attempt, *pieces)
    return attempt


def followed(run: BeltRun, *, chain: bool = True) -> tuple[bool, list[str]]:
    lines: list[str] = []
    return follow(run.id, lines.append, chain=chain), lines


def test_run_is_printed_with_its_log_and_end() -> None:
    run = a_run("gem")
    ended_attempt(run, "one\ntw", "o\nthree")

    succeeded, lines = followed(run)

    assert succeeded
    assert lines == [
        "gem.build #1 begins: By hand.",
        "gem.build.compile | one",
        "gem.build.compile | two",
        "gem.build.compile | three",
        "gem.build.compile succeeded in 1 s",
        "gem.build #1 succeeded",
    ]


def test_last_words_come_before_the_reason() -> None:
    run = a_run("gem", "failed")
    attempt = ended_attempt(run, "one\nlast words", state="failed")
    a_log(attempt, "The commands ended with exit status 1.\n", stream="control")
    a_log(attempt, "cleaning")

    _, lines = followed(run)

    assert lines[1:5] == [
        "gem.build.compile | one",
        "gem.build.compile | last words",
        "gem.build.compile | The commands ended with exit status 1.",
        "gem.build.compile | cleaning",
    ]


def test_job_of_a_lost_runner_is_shown_with_a_way_out() -> None:
    run = a_run("gem", "errored")
    JobRun.objects.filter(belt_run=run).update(reason="runner-lost", message="It was lost.")

    _, lines = followed(run)

    advice = "Its commands may have run in part. Rerun the job if repeating them does no harm."
    assert f"gem.build.compile errored in at most 1 s: It was lost. {advice}" in lines


def test_a_log_cannot_command_the_terminal() -> None:
    run = a_run("gem")
    ended_attempt(run, b"\x1b]0;title\x07\x1b[2Jplain \x1b[31mred\x1b[0m\x08\n\xff\n")

    _, lines = followed(run)

    assert lines[1:3] == [r"gem.build.compile | plain red\x08", r"gem.build.compile | \xff"]


def test_neither_a_reason_nor_a_cause_commands_the_terminal() -> None:
    run = a_run("gem", "failed")
    BeltRun.objects.filter(id=run.id).update(cause="Push to \u202emain\x9b31m.")
    JobRun.objects.filter(belt_run=run).update(message="Its word \x1b[31mred is missing.")

    _, lines = followed(run)

    assert lines[0] == r"gem.build #1 begins: Push to \u202emain\x9b31m."
    assert r"gem.build.compile failed in 1 s: Its word \x1b[31mred is missing." in lines


def test_failure_is_printed_with_its_reason() -> None:
    run = a_run("gem", "failed")
    ended_attempt(run, state="failed")
    JobRun.objects.filter(belt_run=run).update(message="The commands ended with 3.")

    succeeded, lines = followed(run)

    assert not succeeded
    assert "gem.build.compile failed in 1 s: The commands ended with 3." in lines


def test_every_attempt_is_printed() -> None:
    run = a_run("gem")
    ended_attempt(run, "first\n", state="failed")
    ended_attempt(run, "second\n")

    _, lines = followed(run)

    assert lines[1:4] == [
        "gem.build.compile | first",
        "gem.build.compile is tried again, attempt 2",
        "gem.build.compile | second",
    ]


def test_the_chain_is_followed_to_its_end_or_not_at_all() -> None:
    run = a_run("gem")
    downstream = a_run("image", "failed", upstream=run)
    an_edge(run, downstream.belt, started=downstream)

    assert followed(run)[0] is False
    assert "image.build #1 failed" in followed(run)[1]
    assert followed(run, chain=False)[0] is True
    assert "image.build #1 failed" not in followed(run, chain=False)[1]


def test_what_led_to_a_run_is_not_its_chain() -> None:
    upstream = a_run("gem", "failed")
    run = a_run("image", upstream=upstream)

    assert followed(run)[0] is True


def end(run: BeltRun, state: str) -> None:
    now = timezone.now()
    JobRun.objects.filter(belt_run=run).update(state=state, finished_at=now)
    BeltRun.objects.filter(id=run.id).update(state=state, finished_at=now)


@pytest.mark.django_db(transaction=True)
def test_job_of_an_unserved_queue_is_reported_once() -> None:
    run = a_belt_run(("compile",), belt=a_belt("build", product=a_product("gem")))
    JobRun.objects.filter(belt_run=run).update(
        queue="gpu", queued_at=timezone.now() - timedelta(minutes=5)
    )
    lines: list[str] = []

    def end_it() -> bool:
        until(lambda: any("waits" in line for line in lines), "the warning")
        end(run, "cancelled")
        return True

    answers = at_once(lambda: follow(run.id, lines.append), end_it)

    assert answers[0] is False
    waits = [line for line in lines if "waits" in line]
    assert len(waits) == 1
    assert "No runner serves queue gpu" in waits[0]


@pytest.mark.django_db
def test_downstream_run_that_could_not_be_started_is_no_success() -> None:
    run, now = a_run("gem"), timezone.now()
    lines: list[str] = []
    belt = a_belt("pack", product=a_product("image"))
    edge = an_edge(run, belt, closed_at=now, note="The upstream run did not succeed.")
    assert follow(run.id, lines.append)
    Edge.objects.filter(id=edge.id).update(fired_at=now, note="The product image is archived.")
    assert not follow(run.id, lines.append)


@pytest.mark.django_db(transaction=True)
def test_a_downstream_run_that_is_yet_to_be_started_is_waited_for() -> None:
    run = a_run("gem")
    belt = a_belt("pack", product=a_product("image"))
    edge = an_edge(run, belt)
    lines: list[str] = []

    def start_it() -> bool:
        until(lambda: any("#1 succeeded" in line for line in lines), "the end of the upstream run")
        downstream = a_belt_run({"assemble": "failed"}, belt=belt, upstream=run)
        Edge.objects.filter(id=edge.id).update(started=downstream, fired_at=timezone.now())
        return True

    answers = at_once(lambda: follow(run.id, lines.append), start_it)

    assert answers[0] is False
    assert lines[-1] == "image.pack #1 failed"
