"""The demonstration as a user starts it: commands, real processes, real repositories."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest

from tests.own_database import REPOSITORY
from tests.waiting import until

pytestmark = pytest.mark.processes

PATIENCE_S = 240.0
#: Without a queue all jobs run by polling, and no test would notice.
MISSED = re.compile("queue cannot be used|no queue yet|doorbell ended")


def descendants(pid: int) -> set[int]:
    """Return the ids of all processes below a process."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Demonstration:
    """One command of the demonstration with a data folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "said"
        self.started: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **{key: text for key, text in os.environ.items() if not key.startswith("CONVEYOR_")},
            "CONVEYOR_DATA_DIR": str(folder / "data"),
            "CONVEYOR_WORK_DIR": str(folder / "work"),
            "TMPDIR": str(folder),
        }

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=REPOSITORY,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def start(self, command: str) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "manage.py", command],
                cwd=REPOSITORY,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        self.started.append(process)
        return process

    def says(self, text: str) -> None:
        """Wait until it has said something."""
        until(lambda: text in self.said, f"{text!r} is said", patience_s=PATIENCE_S)

    @property
    def said(self) -> str:
        return self.log.read_text()

    def temporary_folders(self) -> list[Path]:
        return list(self.folder.glob("conveyor-*"))

    def left_by_the_runner(self) -> list[Path]:
        """Return the paths of a runner in the work folder: its folder and its lock."""
        return list((self.folder / "work" / ".locks").glob("name-*"))

    def outputs(self, name: str) -> list[tuple[str]]:
        """Return the values of the outputs of that name, as rows."""
        with closing(sqlite3.connect(self.folder / "data" / "conveyor.sqlite3")) as database:
            query = "SELECT value FROM runs_output WHERE name = ?"
            return database.execute(query, [name]).fetchall()

    def end_of(self, job: str) -> tuple[str, str]:
        """Return state and message of the newest run of a job of that name."""
        with closing(sqlite3.connect(self.folder / "data" / "conveyor.sqlite3")) as database:
            query = "SELECT state, message FROM runs_jobrun WHERE name = ? ORDER BY id DESC"
            found: tuple[str, str] = database.execute(query, [job]).fetchone()
        return found

    def runner_says(self, text: str) -> None:
        """Wait until the log of its runner has the text."""
        log = self.folder / "data" / "logs" / "runner.log"
        until(lambda: text in log.read_text(), f"the runner says {text!r}", patience_s=PATIENCE_S)

    def complaints(self) -> list[str]:
        """Return what the logs of its parts say of a queue that is missed."""
        logs = [path.read_text() for path in (self.folder / "data" / "logs").glob("*.log")]
        assert len(logs) == 2
        return [line for log in logs for line in log.splitlines() if MISSED.search(line)]

    def close(self) -> None:
        for process in self.started:
            process.kill()
            process.wait()


def do_as_told(said: str) -> None:
    """Type the commands that the text gives for a change of one's own."""
    commands = said.partition("Merge a change of your own:")[2].partition("Ctrl-C ends")[0]
    subprocess.run(["sh", "-e", "-c", commands], cwd=REPOSITORY, check=True, capture_output=True)


@pytest.fixture
def demonstration(folder: Path) -> Iterator[Demonstration]:
    demonstration = Demonstration(folder)
    yield demonstration
    demonstration.close()


def test_the_chain_is_shown_to_its_end_and_nothing_stays(demonstration: Demonstration) -> None:
    done = demonstration.run("demo")

    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout
    version = re.search(r"out {2}VERSION = (1\.1\.0\+[0-9a-f]{8})\n", said)
    assert version is not None
    assert f"out  DEPLOYED_VERSION = {version[1]}\n" in said
    assert f"in   web-service.release.package.VERSION = {version[1]}\n" in said
    assert "out  GREETING = Hola, Conveyor!\n" in said
    assert "└──▶ environment.deploy #1  succeeded" in said
    assert "web-service.release.unit-tests | OK" in said
    assert demonstration.temporary_folders() == []


def test_an_interrupted_demonstration_leaves_nothing(demonstration: Demonstration) -> None:
    process = demonstration.start("demo")
    demonstration.says("web-service.release #1 begins")
    below = descendants(process.pid)

    process.send_signal(signal.SIGINT)

    assert process.wait(PATIENCE_S) == 130
    assert [pid for pid in below if is_alive(pid)] == []
    assert demonstration.temporary_folders() == []


def test_a_site_shows_a_merge_and_stays_until_it_is_interrupted(
    demonstration: Demonstration,
) -> None:
    process = demonstration.start("demo_site")
    demonstration.says("Ctrl-C ends the site.")
    said = demonstration.said
    assert "└──▶ environment.deploy #1  succeeded" in said
    assert re.search(r"password {7}\S{16} ", said)
    address = re.search(r"Conveyor is ready: {2}(\S+)", said)
    assert address is not None
    page = build_opener(ProxyHandler({})).open(address[1], timeout=20)
    assert page.status == 200
    second = demonstration.run("demo_site")
    assert second.returncode == 1
    assert f" at {address[1]}, as process" in second.stderr
    do_as_told(said)
    until(
        lambda: ("Buenos dias, Conveyor!",) in demonstration.outputs("GREETING"),
        "a change made as the text says ends in the third product",
        patience_s=PATIENCE_S,
    )

    process.send_signal(signal.SIGTERM)

    assert process.wait(PATIENCE_S) == 0
    assert "Conveyor has ended." in demonstration.said
    assert demonstration.left_by_the_runner() == []
    assert demonstration.complaints() == []


def test_a_later_start_makes_nothing_anew_and_dies_with_all_that_it_started(
    demonstration: Demonstration,
) -> None:
    process = demonstration.start("demo_site")
    demonstration.says("A change was merged")
    assert demonstration.left_by_the_runner() != []
    process.send_signal(signal.SIGINT)
    process.wait(PATIENCE_S)
    assert demonstration.left_by_the_runner() == []

    process = demonstration.start("demo_site")
    demonstration.says("Ctrl-C ends the site.")
    assert "the administrator that was made on the first start" in demonstration.said
    assert "A change was merged" not in demonstration.said
    below = descendants(process.pid)
    assert len(below) > 5
    process.kill()

    until(lambda: not any(map(is_alive, below)), "all that it started is dead")


STUBBORN = """
product: slow
belts:
  - name: wait
    jobs:
      - name: stubborn
        commands: |
          trap "" TERM
          sleep 300
"""


@pytest.mark.parametrize(
    ("orders", "reason"),
    [
        (1, "it was told to end while it drained"),
        (2, "The site was stopped (Ctrl-C) while this job ran."),
    ],
    ids=["ended by its runner", "killed with its runner"],
)
def test_job_of_a_stopped_site_has_a_true_reason(
    demonstration: Demonstration, orders: int, reason: str
) -> None:
    process = demonstration.start("demo_site")
    demonstration.says("Ctrl-C ends the site. Running jobs then have 60 s to end.")
    address = re.search(r"Conveyor is ready: {2}(\S+)", demonstration.said)
    assert address is not None
    file = demonstration.folder / ".conveyor.yml"
    file.write_text(STUBBORN)
    assert demonstration.run("import_conveyor_yml", str(file)).returncode == 0
    started = demonstration.run("run_belt", "slow.wait").stdout
    assert f"was started: {address[1]}/belt-runs/" in started
    until(lambda: demonstration.end_of("stubborn") == ("running", ""), "the job runs")

    process.send_signal(signal.SIGINT)
    demonstration.runner_says("1 run to their end")
    for _ in range(orders):
        process.send_signal(signal.SIGINT)
        demonstration.runner_says("Told to end while draining")

    assert process.wait(PATIENCE_S) == 0
    assert "Running jobs: 1. They have 60 s to end, then they are stopped." in demonstration.said
    state, message = demonstration.end_of("stubborn")
    assert state == "errored"
    assert reason in message


def test_a_database_of_the_users_own_is_left_alone(demonstration: Demonstration) -> None:
    url = f"sqlite:///{demonstration.folder}/mine.sqlite3"
    demonstration.environment["CONVEYOR_DATABASE_URL"] = url

    done = demonstration.run("demo_site")

    assert done.returncode == 1
    assert "CONVEYOR_DATABASE_URL is set" in done.stderr
    assert not (demonstration.folder / "mine.sqlite3").exists()


def test_without_git_it_says_so(demonstration: Demonstration) -> None:
    demonstration.environment["PATH"] = str(demonstration.folder)

    done = demonstration.run("demo_site")

    assert done.returncode == 1
    assert "git is not installed" in done.stderr
