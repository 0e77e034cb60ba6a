"""A supervisor that serves a slot again is as good as a fresh one, or is not kept."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runners.executor.shapes import Timing
from runners.executor.supervisors import MOST_ATTEMPTS, Supervisors
from runners.executor.zygote import ZygoteGoneError, ZygoteProcess
from runners.supervisor import wire
from runners.supervisor.kernel import boot_now
from runners.supervisor.processes import children_of
from runners.supervisor.stage import Stage
from tests.runners.executor.attempts import (
    Lab,
    isolation_of,
    new_token,
    sleepers,
    wait_until,
)

KEEPING = ["uid", "sandbox-bubblewrap"]
DAEMONS = "setsid sleep TOKEN & (setsid sh -c '(sleep TOKEN &)' &); nohup sleep TOKEN >&- 2>&- &"


@pytest.fixture(params=KEEPING)
def keeping(
    request: pytest.FixtureRequest, work_dir: Path, own_zygote: ZygoteProcess
) -> Iterator[Lab]:
    """Give a lab whose jobs cannot reach their supervisor, which it keeps."""
    isolation = isolation_of(request.param)
    if isolation is None:
        pytest.skip(f"this machine or user cannot isolate by {request.param}")
    lab = Lab(work_dir, own_zygote.client(), isolation)
    with Supervisors(lab.zygote) as lab.supervisors:
        yield lab


def test_one_supervisor_serves_one_attempt_after_the_other(
    keeping: Lab, own_zygote: ZygoteProcess
) -> None:
    served_by = []
    for script in ("true", "exit 3", "echo out; echo err >&2"):
        keeping.run(script, post_run="true")
        served_by.append(children_of(own_zygote.pid))
    assert len(served_by[0]) == 1
    assert served_by == [served_by[0]] * 3


def test_a_supervisor_that_has_served_long_enough_is_replaced(
    keeping: Lab, own_zygote: ZygoteProcess
) -> None:
    keeping.run("true")
    first = children_of(own_zygote.pid)
    assert keeping.supervisors is not None
    guard = keeping.supervisors.take()
    guard.attempts = MOST_ATTEMPTS - 1
    keeping.supervisors.give_back(guard)
    assert keeping.run("true").outcome == "succeeded"
    wait_until(lambda: not children_of(own_zygote.pid), "the end of the supervisor")
    assert keeping.run("true").outcome == "succeeded"
    assert children_of(own_zygote.pid) != first


@pytest.mark.parametrize("end", ["timeout", "cancel", "stop", "loss", "start"])
def test_a_supervisor_that_had_to_end_its_tree_is_not_kept(
    keeping: Lab, own_zygote: ZygoteProcess, end: str
) -> None:
    acts = {
        "cancel": keeping.reporter.cancel_it,
        "stop": keeping.reporter.stop_it,
        "loss": keeping.reporter.lose_it,
    }
    if end in acts:
        keeping.reporter.on("begun", acts[end])
    fields: dict[str, Any] = {"timeout_s": 0.3} if end == "timeout" else {}
    if end == "start" and keeping.isolation.bubblewrap:
        fields["isolation"] = replace(keeping.isolation, bubblewrap="/nowhere")
    elif end == "start":
        fields["working_directory"] = "nowhere"
    keeping.run("echo begun; sleep 60", **fields)
    wait_until(lambda: not children_of(own_zygote.pid), "the end of the supervisor")


def test_what_an_attempt_started_is_dead_before_the_next_one_begins(
    keeping: Lab, own_zygote: ZygoteProcess
) -> None:
    token = new_token()
    count = f"while [ \"$(ps ax | grep -c '[s]leep {token}')\" -lt 3 ]; do sleep 0.02; done"
    keeping.run(f"{DAEMONS.replace('TOKEN', token)}\n{count}")
    assert sleepers(token) == []
    supervisors = children_of(own_zygote.pid)
    assert keeping.run("ps ax -o args").outcome == "succeeded"
    assert token not in keeping.reporter.text()
    assert children_of(own_zygote.pid) == supervisors
    assert children_of(supervisors[0]) == []


def test_nothing_of_an_attempt_reaches_the_next_one(keeping: Lab) -> None:
    look = "ulimit -a; umask; trap; ls /proc/self/fd; env | grep -v CONVEYOR_ | sort"
    seen = []
    for before in ("true", "ulimit -n 50; ulimit -u 40; umask 0; trap '' INT; export LEFT=1"):
        keeping.run(before, environment={"SET": before})
        keeping.reporter.chunks.clear()
        keeping.run(look)
        text = keeping.reporter.text("stdout")
        seen.append([line for line in text.splitlines() if str(keeping.work_dir) not in line])
    assert seen[0] == seen[1]
    assert "0022" in seen[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: to look into a supervisor")
def test_a_supervisor_gathers_no_descriptors(keeping: Lab, own_zygote: ZygoteProcess) -> None:
    def descriptors() -> list[str]:
        folder = Path(f"/proc/{children_of(own_zygote.pid)[0]}/fd")
        return sorted(each.name for each in folder.iterdir())

    keeping.run("true")
    before = descriptors()
    for script in ("true", "exit 1", "sleep 60 &"):
        keeping.run(script, post_run="true")
    assert descriptors() == before


def test_one_that_is_killed_between_two_attempts_is_replaced(
    keeping: Lab, own_zygote: ZygoteProcess
) -> None:
    keeping.run("true")
    killed = children_of(own_zygote.pid)
    os.kill(killed[0], signal.SIGKILL)
    wait_until(lambda: not children_of(own_zygote.pid), "the burial of the supervisor")
    assert keeping.run("true").outcome == "succeeded"
    assert children_of(own_zygote.pid) != killed


def test_one_that_is_frozen_between_two_attempts_starts_nothing_when_it_wakes_up(
    keeping: Lab, own_zygote: ZygoteProcess
) -> None:
    token = new_token()
    keeping.run("true")
    frozen = children_of(own_zygote.pid)[0]
    os.kill(frozen, signal.SIGSTOP)
    result = keeping.run(f"sleep {token}", timing=Timing(late_s=0.2))
    assert (result.outcome, result.reason) == ("errored", "runner-lost")
    assert keeping.run("true").outcome == "succeeded"
    os.kill(frozen, signal.SIGCONT)
    wait_until(lambda: frozen not in children_of(own_zygote.pid), "the end of the frozen one")
    assert sleepers(token) == []
    assert keeping.run("true").outcome == "succeeded"


def test_an_order_that_lay_unread_until_the_lease_was_over_is_not_obeyed(
    keeping: Lab, own_zygote: ZygoteProcess
) -> None:
    mark = keeping.work_dir / "mark"
    keeping.run("true")
    frozen = children_of(own_zygote.pid)[0]
    os.kill(frozen, signal.SIGSTOP)
    keeping.reporter.ticked_at = boot_now()
    timing = Timing(silence_term_s=0.3, silence_kill_s=0.4, late_s=20, orders_s=0.05)
    late = keeping.reporter.ticked_at + timing.silence_kill_s

    def wake_it() -> None:
        if boot_now() > late:
            os.kill(frozen, signal.SIGCONT)

    keeping.reporter.asked_for = wake_it
    result = keeping.run(f"touch {mark}", timing=timing, isolation=isolation_of("none"))
    assert (result.outcome, result.reason) == ("errored", "runner-lost")
    assert not mark.exists()


def test_silence_while_nothing_runs_ends_no_supervisor(
    keeping: Lab, own_zygote: ZygoteProcess
) -> None:
    short = Timing(silence_term_s=1.0, silence_kill_s=1.2, orders_s=0.05)
    keeping.run("true", timing=short)
    supervisors = children_of(own_zygote.pid)
    quiet_until = boot_now() + 1.5 * short.silence_kill_s
    wait_until(lambda: boot_now() > quiet_until, "the end of the first attempt's lease")
    assert keeping.run("true").outcome == "succeeded"
    assert children_of(own_zygote.pid) == supervisors


def test_the_dead_mans_timer_is_set_anew_for_each_attempt(keeping: Lab) -> None:
    token = new_token()
    keeping.run("true")
    keeping.reporter.ticked_at = boot_now()
    timing = Timing(silence_term_s=0.4, silence_kill_s=0.6, grace_s=0.2, orders_s=0.05)
    result = keeping.run(f"trap '' TERM; sleep {token}; sleep {token}", timing=timing)
    assert (result.outcome, result.reason) == ("errored", "runner-lost")
    assert sleepers(token) == []


def test_a_cancel_ends_its_own_attempt_and_no_later_one(keeping: Lab) -> None:
    keeping.run("true", post_run="true")
    keeping.reporter.on("begun", keeping.reporter.cancel_it)
    assert keeping.run("echo begun; sleep 60").outcome == "cancelled"
    keeping.reporter.cancel = None
    assert keeping.run("true").outcome == "succeeded"


def test_the_zygotes_death_between_two_attempts_is_found_before_the_next_one(
    keeping: Lab, own_zygote: ZygoteProcess, tmp_path: Path
) -> None:
    keeping.run("true")
    kept = children_of(own_zygote.pid)[0]
    os.kill(own_zygote.pid, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{kept}").exists(), "the end of the supervisor")
    with pytest.raises(ZygoteGoneError):
        keeping.run("true")
    wait_until(lambda: not own_zygote.is_alive(), "the end of the zygote")
    with ZygoteProcess.start(tmp_path / "zygote"):
        assert keeping.run("true").outcome == "succeeded"


@pytest.mark.parametrize("level", ["none", "sandbox-namespaces"])
def test_a_job_that_could_reach_its_supervisor_is_its_last(
    lab: Lab, own_zygote: ZygoteProcess, level: str
) -> None:
    isolation = isolation_of(level)
    with Supervisors(own_zygote.client()) as lab.supervisors:
        lab.run("true", isolation=isolation)
        wait_until(lambda: not children_of(own_zygote.pid), "the end of the supervisor")


def test_a_supervisor_that_was_prepared_serves_the_next_attempt(
    keeping: Lab, own_zygote: ZygoteProcess
) -> None:
    assert keeping.supervisors is not None
    keeping.supervisors.prepare()
    wait_until(lambda: children_of(own_zygote.pid), "the supervisor's begin")
    prepared = children_of(own_zygote.pid)
    keeping.supervisors.prepare()
    assert keeping.run("true").outcome == "succeeded"
    assert children_of(own_zygote.pid) == prepared


def test_a_supervisor_that_was_not_armed_runs_nothing(
    own_zygote: ZygoteProcess, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    stage = Stage(("/usr/bin/touch", str(mark)), {}, "/", 5.0, 1.0)
    with Supervisors(own_zygote.client()) as supervisors:
        control = supervisors.take().control
        run = {"number": 1, "stage": stage.to_wire(), "begun_after_s": 1.0}
        wire.send(control, {"run": run}, [1, 2])
        received = wire.receive(control)
        assert received is not None
        assert received[0]["ended"]["reason"] == "silence"
        assert wire.receive(control) is None
        control.close()
    assert not mark.exists()


@pytest.mark.parametrize("script", ["exit 0", "until [ -e {go} ]; do sleep 0.05; done"])
def test_supervisor_that_stood_still_reads_what_waits_first(
    keeping: Lab, own_zygote: ZygoteProcess, script: str
) -> None:
    timing = Timing(silence_term_s=2.0, silence_kill_s=2.5, late_s=30, orders_s=0.05)
    go, until = keeping.work_dir / "go", []

    def freeze_it() -> None:
        os.kill(children_of(own_zygote.pid)[0], signal.SIGSTOP)
        until.append(boot_now() + timing.silence_kill_s)

    def wake_it() -> None:
        if until and boot_now() > until[0]:
            go.touch()
            os.kill(children_of(own_zygote.pid)[0], signal.SIGCONT)

    keeping.reporter.on("begun", freeze_it).asked_for = wake_it
    result = keeping.run(
        f"echo begun; sleep 0.5; {script.format(go=go)}",
        timing=timing,
        isolation=isolation_of("none"),
    )
    go.unlink()
    assert (result.outcome, result.message) == ("succeeded", "")
