"""A user of jobs is reused only when no job of it could reach anything of an earlier one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from runners.errors import NoPlaceError
from runners.process.places import own_place, place_of, prepare_places, take_name
from runners.process.users import choose_slots
from tests.own_database import REPOSITORY
from tests.runners.process.living import LivingRunner, Site
from tests.waiting import at_once, until

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has users for jobs")

#: No other test run on this machine takes the same.
UID = 300_000_000 + 10 * os.getpid()
UIDS = f"{UID}-{UID + 3}"

LEAVE = 'echo secret > "$HOME/left"; echo "$HOME/left"; sleep 60'

HOLD = """
import sys
from pathlib import Path
from uuid import uuid4
from runners.process.places import take_name
take_name(Path(sys.argv[1]), sys.argv[2], uuid4())
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def own_records() -> Iterator[None]:
    """Leave nothing of this test's users on the machine."""
    yield
    for pattern in ("/run/conveyor/uid-{}", "/var/lib/conveyor/users/folders-of-{}"):
        for uid in range(UID, UID + 10):
            Path(pattern.format(uid)).unlink(missing_ok=True)


@pytest.fixture
def work_dir(folder: Path) -> Path:
    prepare_places(folder / "work")
    return folder / "work"


@pytest.fixture
def kept() -> Iterator[Path]:
    """Give a folder of the first user in a folder of all, which is a mount and so cannot go."""
    folder = Path(tempfile.mkdtemp(prefix="conveyor-test-", dir="/tmp"))
    try:
        if subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=False).returncode:
            pytest.skip("nothing can be mounted here")
        os.chown(folder, UID, UID)
        yield folder
    finally:
        if folder.is_mount():
            subprocess.run(["umount", folder], check=True)
        shutil.rmtree(folder, ignore_errors=True)


class Holder:
    """Another process that holds the name of a runner."""

    def __init__(self, work_dir: Path, name: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(work_dir), name],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"held\n"

    def __enter__(self) -> Holder:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def left_by(work_dir: Path, name: str, uid: int | None) -> Path:
    """Make what a killed runner leaves of an attempt, and return a file in it."""
    attempt = work_dir / place_of(name) / str(uuid4())
    (attempt / "job").mkdir(parents=True)
    secret = attempt / "job" / "secret-key"
    secret.write_text("secret")
    if uid is not None:
        for path in (attempt, attempt / "job", secret):
            os.chown(path, uid, uid)
    return secret


def killed_at_work(site: Site, name: str) -> Path:
    """Kill a runner with the first two users, whose job has written a file; return the file."""
    runner = site.runner("--name", name, "--job-uids", f"{UID}-{UID + 1}")
    row = site.queue_jobs(LEAVE)[0]
    site.running(row)
    until(lambda: site.log(row), "the job has written")
    kill(runner)
    left = Path(site.log(row).strip())
    assert left.read_text() == "secret\n"
    return left


def kill(runner: LivingRunner) -> None:
    runner.signal(signal.SIGKILL)
    runner.wait()


@needs_root
@pytest.mark.processes
def test_the_next_runner_of_the_work_folder_removes_what_a_killed_one_left(site: Site) -> None:
    left = killed_at_work(site, "one")
    site.runner("--name", "two", "--job-uids", f"{UID + 2}-{UID + 3}")
    assert not left.exists()
    assert (site.work_dir / "one").is_dir()


@needs_root
@pytest.mark.processes
def test_the_next_runner_of_a_user_removes_what_it_left_in_another_work_folder(site: Site) -> None:
    left = killed_at_work(site, "one")
    elsewhere = {"CONVEYOR_WORK_DIR": str(site.folder / "elsewhere")}
    site.runner("--name", "two", "--job-uids", f"{UID}-{UID + 1}", **elsewhere)
    assert not left.exists()


@needs_root
@pytest.mark.processes
def test_two_runners_whose_users_overlap_start_at_once_and_share_none(site: Site) -> None:
    left = killed_at_work(site, "old")
    wide = ("--job-uids", UIDS)
    runners = [site.start_runner("--name", name, *wide) for name in ("one", "two")]
    for runner in runners:
        runner.ready()
    assert not left.exists()
    rows = site.queue_jobs(*["id -u; sleep 1"] * 4)
    site.ended(*rows)
    assert sorted(site.log(row).strip() for row in rows) == [str(UID + n) for n in range(4)]
    third = site.start_runner("--name", "three", *wide)
    assert third.wait() == 1
    assert "have only 0 (4 are other runners')" in third.said


@needs_root
@pytest.mark.processes
def test_a_slot_goes_on_once_what_a_job_left_is_out_of_reach(site: Site) -> None:
    go = site.folder / "go"
    runner = site.runner("--job-uids", UIDS)
    row = site.queue_jobs(f'pwd; while [ ! -e "{go}" ]; do sleep 0.1; done')[0]
    site.running(row)
    until(lambda: site.log(row), "the job has written")
    workspace = Path(site.log(row).strip())
    disk = workspace / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", disk], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        go.touch()
        assert site.ended(row)[0].state == "succeeded"
        rows = site.queue_jobs(*[f"ls {workspace} 2>&1"] * 4)
        assert {each.state for each in site.ended(*rows)} == {"failed"}
        assert all("Permission denied" in site.log(each) for each in rows)
        assert f"What the job in {workspace.parent} left could not be removed" in runner.said
        runner.ready()
    finally:
        subprocess.run(["umount", disk], check=True)


@needs_root
@pytest.mark.processes
def test_a_slot_whose_user_keeps_files_in_a_folder_of_all_takes_no_job(
    site: Site, kept: Path
) -> None:
    runner = site.start_runner("--job-uids", f"{UID}-{UID + 1}")
    until(lambda: "The slot takes no job" in runner.said, "a slot tells that it takes none")
    rows = site.queue_jobs(*["id -u"] * 4)
    site.ended(*rows)
    assert {site.log(row) for row in rows} == {f"{UID + 1}\n"}
    subprocess.run(["umount", kept], check=True)
    os.chown(kept, UID, UID)
    until(lambda: not kept.exists(), "the slot removes it once that is possible")
    runner.ready()


@needs_root
def test_a_living_runners_folder_is_never_touched(work_dir: Path) -> None:
    dead = left_by(work_dir, "dead", UID + 1)
    living = left_by(work_dir, "living", UID)
    take_name(work_dir, "mine", uuid4())
    with Holder(work_dir, "living"):
        Holder(work_dir, "dead").__exit__()
        own_place(work_dir, "mine")
        assert not dead.exists()
        assert living.exists()
        with pytest.raises(NoPlaceError, match="1 own files that cannot be removed"):
            choose_slots(work_dir, 1, (UID, UID))
        assert [place.uid for place in choose_slots(work_dir, 1, (UID, UID + 1))] == [UID + 1]
        assert living.exists()
    assert [place.uid for place in choose_slots(work_dir, 1, (UID, UID + 1))] == [UID]
    assert not living.exists()


def test_what_a_dead_runner_of_the_same_user_left_goes_too(work_dir: Path) -> None:
    left = left_by(work_dir, "dead", None)
    mirror = work_dir / "dead" / ".mirrors"
    mirror.mkdir()
    Holder(work_dir, "dead").__exit__()
    own_place(work_dir, "mine")
    assert not left.exists()
    assert mirror.is_dir()


@needs_root
def test_a_user_with_files_on_a_disk_that_became_read_only_is_nobodys(
    work_dir: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", disk], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        prepare_places(disk / "work")
        choose_slots_and_die(disk / "work", UID)
        left = left_by(disk / "work", "dead", UID)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with pytest.raises(NoPlaceError, match="1 own files that cannot be removed"):
            choose_slots(work_dir, 1, (UID, UID))
        assert f"No job runs as user {UID}" in caplog.text
        assert "Read-only" in caplog.text
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        assert [place.uid for place in choose_slots(work_dir, 1, (UID, UID))] == [UID]
        assert not left.exists()
    finally:
        subprocess.run(["umount", disk], check=True)


@needs_root
def test_what_cannot_be_removed_is_out_of_reach_of_the_user(work_dir: Path) -> None:
    left = left_by(work_dir, "dead", UID)
    disk = left.parent / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", disk], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        choose_slots(work_dir, 1, (UID, UID))
        assert disk.is_mount()
        seen = subprocess.run(
            ["/bin/ls", disk], user=UID, group=UID, capture_output=True, check=False
        )
        assert b"Permission denied" in seen.stderr
    finally:
        subprocess.run(["umount", disk], check=True)


@needs_root
def test_a_work_folder_that_is_gone_is_no_hindrance(work_dir: Path, folder: Path) -> None:
    gone = folder / "gone"
    prepare_places(gone)
    choose_slots_and_die(gone, UID)
    shutil.rmtree(gone)
    assert [place.uid for place in choose_slots(work_dir, 1, (UID, UID))] == [UID]


@needs_root
def test_containers_that_share_a_work_folder_and_nothing_else_share_no_user(
    work_dir: Path,
) -> None:
    choose_slots(work_dir, 1, (UID, UID))
    Path(f"/run/conveyor/uid-{UID}").unlink()
    with pytest.raises(NoPlaceError, match="1 are other runners'"):
        choose_slots(work_dir, 1, (UID, UID))


def test_a_runner_waits_for_its_name_while_another_sweeps_what_it_left(work_dir: Path) -> None:
    boot_id = uuid4()
    code = (
        "import sys; from pathlib import Path; from runners.process.locks import *\n"
        "work = Path(sys.argv[1])\n"
        "with sweeping(work), held_if_dead(work, 'one') as is_dead:\n"
        "    print(is_dead, flush=True); sys.stdin.read()\n"
    )
    Holder(work_dir, "one").__exit__()
    sweeper = subprocess.Popen(
        [sys.executable, "-c", code, str(work_dir)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert sweeper.stdout is not None
    assert sweeper.stdout.readline() == b"True\n"

    def end_late() -> None:
        with pytest.raises(subprocess.TimeoutExpired):
            sweeper.wait(3)
        sweeper.communicate()

    def start() -> tuple[UUID, ...]:
        return take_name(work_dir, "one", boot_id)

    _, previous = at_once(end_late, start)
    assert isinstance(previous, tuple)
    assert len(previous) == 1


def choose_slots_and_die(work_dir: Path, uid: int) -> None:
    """Have another process choose the user for a slot, and let go of it by its end."""
    code = (
        "import sys; from pathlib import Path; from runners.process.users import choose_slots\n"
        "choose_slots(Path(sys.argv[1]), 1, (int(sys.argv[2]),) * 2)\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(work_dir), str(uid)], cwd=REPOSITORY, check=True
    )
