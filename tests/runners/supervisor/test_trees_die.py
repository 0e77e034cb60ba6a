"""Nothing of a job survives it, whoever dies or falls silent first."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from runners.executor.shapes import Limits, Timing
from runners.executor.workspace import sweep
from runners.executor.zygote import ZygoteProcess
from runners.supervisor.processes import children_of
from tests.own_database import REPOSITORY
from tests.runners.executor.attempts import (
    Lab,
    isolation_of,
    new_token,
    sleepers,
    wait_until,
)

ROOT = Path(__file__).resolve().parents[3]
ENDS = ["success", "failure", "timeout", "cancel", "supervisor", "zygote", "both"]
SILENT = Timing(silence_term_s=1.5, silence_kill_s=2.0, grace_s=0.5, orders_s=0.05)

# Each way of leaving one's parent; TOKEN is a number that only this tree sleeps.
LEAVERS = """
trap '' TERM HUP INT
sleep TOKEN &
nohup sleep TOKEN >/dev/null 2>&1 &
setsid sh -c 'trap "" TERM; sleep TOKEN & wait' &
(setsid sh -c '(sleep TOKEN &)' &)
setsid env -i sleep TOKEN </dev/null >/dev/null 2>&1 &
sh -c 'sh -c "sh -c \\"sleep TOKEN & exec sleep TOKEN\\" & exec sleep TOKEN" & exec sleep TOKEN' &
/usr/bin/python3 -c '
import os, signal
for number in range(1, 32):
    try: signal.signal(number, signal.SIG_IGN)
    except OSError: pass
for level in range(3):
    if os.fork(): os._exit(0)
    os.setsid()
os.execv("/bin/sleep", ["sleep", "TOKEN"])
'
while [ "$(ps ax | grep -c "[s]leep TOKEN")" -lt 8 ]; do sleep 0.02; done
echo begun
"""


def leavers(token: str, then: str, *, cookies: bool = False) -> str:
    script = LEAVERS.replace("env -i ", "") if cookies else LEAVERS
    return f"{script.replace('TOKEN', token)}\n{then}"


@pytest.mark.parametrize("end", ENDS)
def test_whatever_a_job_starts_dies_with_it(
    lab_of_each_level: Lab, own_zygote: ZygoteProcess, end: str
) -> None:
    lab, token = lab_of_each_level, new_token()
    lab.zygote = own_zygote.client()

    def kill_guards() -> None:
        guards = children_of(own_zygote.pid)
        if end in ("zygote", "both"):
            os.kill(own_zygote.pid, signal.SIGKILL)
        if end in ("supervisor", "both"):
            for guard in guards:
                os.kill(guard, signal.SIGKILL)

    def act() -> None:
        # The script has counted them; one that ends by itself may be over by now.
        assert len(sleepers(token)) >= {"success": 0, "failure": 0}.get(end, 8)
        if end == "cancel":
            lab.reporter.cancel_it()
        elif end in ("supervisor", "zygote", "both"):
            kill_guards()

    lab.reporter.on("begun", act)
    then = {"success": "sleep 0.1", "failure": "sleep 0.1; exit 3"}.get(end, f"sleep {token}")
    # With every guard killed, only a cookie tells a process of the runner's own user.
    cookies = end == "both" and lab.isolation.level == "none"
    assignment = lab.assignment(
        leavers(token, then, cookies=cookies),
        timeout_s=2.0 if end == "timeout" else 30.0,
        timing=Timing(grace_s=0.2, orders_s=0.02, flush_s=0.01),
        post_run="echo after",
    )
    result = lab.run_assignment(assignment)
    expected = {
        "success": ("succeeded", ""),
        "failure": ("failed", "exit-status"),
        "timeout": ("failed", "timed-out"),
        "cancel": ("cancelled", "cancel-requested"),
    }.get(end, ("errored", "runner-lost"))
    assert (result.outcome, result.reason) == expected
    wait_until(lambda: not sleepers(token), "the death of everything the job started")
    assert ("after" in lab.reporter.text()) == (end not in ("supervisor", "zygote", "both"))
    assert list(lab.work_dir.iterdir()) == []


def test_the_tree_is_dead_when_the_result_is_known(lab_of_each_level: Lab) -> None:
    token = new_token()
    lab_of_each_level.run(leavers(token, "exit 0"))
    assert sleepers(token) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a user whose processes can be limited")
def test_a_fork_bomb_ends_with_its_job(lab: Lab) -> None:
    token = new_token()
    bomb = (
        "import os, signal\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('begun', flush=True)\n"
        "while True:\n"
        "    try:\n"
        "        if os.fork() == 0: os.setsid()\n"
        f"        if os.fork() == 0: os.execv('/bin/sleep', ['sleep', '{token}'])\n"
        "    except OSError: pass\n"
    )
    result = lab.run(bomb, language="python", timeout_s=0.7, limits=Limits(processes=60))
    assert result.reason == "timed-out"
    assert sleepers(token) == []


class Slot:
    """A slot, or a runner with its zygote, in a process that can be frozen and killed."""

    def __init__(self, lab: Lab, role: str, zygote_folder: Path, script: str) -> None:
        self.attempt_id = str(uuid.uuid4())
        fields = {
            "isolation": dataclasses.asdict(lab.isolation),
            "timing": dataclasses.asdict(SILENT),
            "work_dir": str(lab.work_dir),
            "attempt_id": self.attempt_id,
            "script": script,
        }
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.runners.supervisor.slot_process",
                role,
                str(zygote_folder),
                json.dumps(fields),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.said = self.process.stdout
        assert self.said.readline() == "begun\n"

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.said.close()


def test_a_frozen_slot_loses_its_tree_before_the_lease_ends(
    lab_of_each_level: Lab, own_zygote: ZygoteProcess, tmp_path: Path
) -> None:
    token = new_token()
    script = leavers(token, f"sleep {token}")
    slot = Slot(lab_of_each_level, "slot", tmp_path / "zygote", script)
    try:
        os.kill(slot.process.pid, signal.SIGSTOP)
        wait_until(lambda: not sleepers(token), "the death of a frozen slot's job")
        os.kill(slot.process.pid, signal.SIGCONT)
        result = json.loads(slot.said.readline())
    finally:
        slot.close()
    assert result == {"outcome": "errored", "reason": "runner-lost"}


def test_a_killed_slot_loses_its_tree(
    lab_of_each_level: Lab, own_zygote: ZygoteProcess, tmp_path: Path
) -> None:
    lab, token = lab_of_each_level, new_token()
    slot = Slot(lab, "slot", tmp_path / "zygote", leavers(token, f"sleep {token}"))
    slot.close()
    wait_until(lambda: not sleepers(token), "the death of a killed slot's job")
    assert own_zygote.is_alive()
    wait_until(lambda: not children_of(own_zygote.pid), "the end of its supervisor")
    assert sweep(lab.work_dir) == [slot.attempt_id]
    assert list(lab.work_dir.iterdir()) == []


def test_a_killed_runner_takes_zygote_and_trees_with_it(
    lab_of_each_level: Lab, tmp_path: Path
) -> None:
    token = new_token()
    script = leavers(token, f"sleep {token}")
    slot = Slot(lab_of_each_level, "runner", tmp_path / "zygote", script)
    zygotes = children_of(slot.process.pid)
    assert zygotes
    slot.close()
    wait_until(lambda: not sleepers(token), "the death of a killed runner's job")
    wait_until(lambda: not Path(f"/proc/{zygotes[0]}").exists(), "the end of its zygote")


def test_a_sweep_kills_what_lost_every_guard(
    lab: Lab, own_zygote: ZygoteProcess, tmp_path: Path
) -> None:
    token = new_token()
    script = f"setsid sleep {token} & sleep 0.05; echo begun; sleep {token}"
    slot = Slot(lab, "slot", tmp_path / "zygote", script)
    wait_until(lambda: len(sleepers(token)) == 2, "both processes of the job")
    guards = [*children_of(own_zygote.pid), own_zygote.pid]
    os.kill(slot.process.pid, signal.SIGSTOP)
    # None of them has time to clean up after another.
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for guard in guards:
            os.kill(guard, number)
    shell = f"{lab.work_dir}/{slot.attempt_id}/job/commands"
    wait_until(lambda: not sleepers(shell), "the death of the shell with its supervisor")
    slot.close()
    assert sweep(lab.work_dir, keep=[slot.attempt_id]) == []
    assert len(sleepers(token)) == 2
    assert sweep(lab.work_dir) == [slot.attempt_id]
    assert sleepers(token) == []


def test_a_zygote_serves_the_next_job_after_a_killed_supervisor(
    lab: Lab, own_zygote: ZygoteProcess
) -> None:
    lab.zygote = own_zygote.client()
    lab.reporter.on("begun", lambda: os.kill(children_of(own_zygote.pid)[0], signal.SIGKILL))
    assert lab.run("echo begun; sleep 60").reason == "runner-lost"
    assert lab.run("true").outcome == "succeeded"
    wait_until(lambda: not children_of(own_zygote.pid), "the burial of every supervisor")


def test_a_stuck_supervisor_counts_as_dead(
    lab_of_each_level: Lab, own_zygote: ZygoteProcess
) -> None:
    lab, token = lab_of_each_level, new_token()
    lab.zygote = own_zygote.client()
    stuck: list[int] = []

    def stop_it() -> None:
        stuck.extend(children_of(own_zygote.pid))
        os.kill(stuck[0], signal.SIGSTOP)
        lab.reporter.cancel_it()

    lab.reporter.on("begun", stop_it)
    timing = Timing(grace_s=0.1, late_s=2, orders_s=0.05)
    try:
        result = lab.run(f"echo begun; sleep {token}; sleep {token}", timing=timing)
        assert (result.outcome, result.reason) == ("errored", "runner-lost")
        assert sleepers(token) == []
    finally:
        for each in stuck:
            os.kill(each, signal.SIGCONT)
    wait_until(lambda: not children_of(own_zygote.pid), "the end of the supervisor")


def test_what_a_stuck_zygote_did_not_start_is_never_started(
    lab: Lab, own_zygote: ZygoteProcess
) -> None:
    lab.zygote = own_zygote.client()
    mark = lab.work_dir / "mark"
    wait_until(lambda: lab.run("true").outcome == "succeeded", "the zygote's readiness")
    os.kill(own_zygote.pid, signal.SIGSTOP)
    isolation = isolation_of("none")
    result = lab.run(f"touch {mark}", timing=Timing(late_s=0.2), isolation=isolation)
    os.kill(own_zygote.pid, signal.SIGCONT)
    assert (result.outcome, result.reason) == ("errored", "runner-lost")
    assert lab.run("true").outcome == "succeeded"
    wait_until(lambda: not children_of(own_zygote.pid), "the end of every supervisor")
    assert not mark.exists()


def test_a_new_zygote_takes_the_place_of_a_dead_one(lab: Lab, tmp_path: Path) -> None:
    with ZygoteProcess.start(tmp_path) as first:
        os.kill(first.pid, signal.SIGKILL)
        wait_until(lambda: not first.is_alive(), "the end of the zygote")
        with ZygoteProcess.start(tmp_path) as second:
            lab.zygote = second.client()
            result = lab.run("true")
    assert result.outcome == "succeeded"


def test_a_zygote_ignores_the_signals_that_drain_a_runner(
    lab: Lab, own_zygote: ZygoteProcess
) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(own_zygote.pid, number)
    lab.zygote = own_zygote.client()
    assert lab.run("true").outcome == "succeeded"


def test_a_zygote_holds_no_environment_and_cannot_be_read(own_zygote: ZygoteProcess) -> None:
    wait_until(lambda: Path(f"/proc/{own_zygote.pid}/environ").stat().st_uid == 0, "its guard")
    if os.geteuid() == 0:
        assert Path(f"/proc/{own_zygote.pid}/environ").read_bytes() == b"LD_BIND_NOW=1\0"
    else:
        with pytest.raises(PermissionError):
            Path(f"/proc/{own_zygote.pid}/environ").read_bytes()


_AFTER_SERVE = """
import os, signal, socket, subprocess
from runners.supervisor.zygote import Zygote
listener = socket.socket(socket.AF_UNIX)
listener.bind("")
listener.listen()
runner = subprocess.Popen(["true"])
Zygote(listener, runner.pid).serve()
print(signal.set_wakeup_fd(-1))
"""


def test_zygote_that_ends_writes_to_no_alarm() -> None:
    """A signal would write to the closed alarm, and the SIGPIPE of that again, for ever."""
    done = subprocess.run(
        [sys.executable, "-c", _AFTER_SERVE],
        check=False,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.returncode) == ("-1\n", 0), done.stderr
