"""The user of a job has an account while the job runs, since ssh and others refuse to work else."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from runners.executor.accounts import Accounts
from runners.executor.shapes import Isolation, SecretFile
from runners.executor.supervisors import Supervisors
from runners.executor.zygote import ZygoteProcess
from tests.runners.executor.attempts import JOB_UID, LEVELS, Lab, isolation_of

WITH_ACCOUNT = [level for level in LEVELS if level != "none"]
OWN = (
    "import grp, os, pwd\n"
    "own = pwd.getpwuid(os.getuid())\n"
    "print(own.pw_name == os.environ['USER'], own.pw_dir == os.environ['HOME'], own.pw_shell)\n"
    "print(pwd.getpwnam(own.pw_name) == own, own.pw_gid == os.getgid())\n"
    "print(grp.getgrgid(os.getgid()).gr_name, pwd.getpwuid(0).pw_name)\n"
)
HAS_ONE = "True True /bin/bash\nTrue True\nconveyor-job root\n"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: users for jobs")


@pytest.fixture(params=WITH_ACCOUNT)
def accounted(request: pytest.FixtureRequest, work_dir: Path, zygote: ZygoteProcess) -> Lab:
    isolation = isolation_of(request.param)
    if isolation is None:
        pytest.skip(f"this machine or user cannot isolate by {request.param}")
    return Lab(work_dir, zygote.client(), isolation)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("there is no ssh-keygen")
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def test_ssh_works_with_the_key_of_a_credential(lab_of_each_level: Lab, key: Path) -> None:
    lab = lab_of_each_level
    file = SecretFile("deploy", "KEY", key.read_bytes(), mode=0o400)
    result = lab.run('ssh-keygen -y -f "$KEY"; ssh -T -G example.org', secret_files=(file,))
    assert (result.outcome, lab.reporter.text("stderr")) == ("succeeded", "")
    public = (key.parent / "key.pub").read_text().split()[1]
    assert public in lab.reporter.text("stdout")


def test_ssh_reads_what_a_job_writes_into_its_home(accounted: Lab) -> None:
    if shutil.which("ssh") is None:
        pytest.skip("there is no ssh")
    accounted.run("mkdir ~/.ssh; echo Port 2222 > ~/.ssh/config; ssh -T -G example.org | grep port")
    assert "port 2222\n" in accounted.reporter.text("stdout")


def test_the_account_is_the_jobs_own(accounted: Lab) -> None:
    accounted.run(OWN, language="python")
    assert accounted.reporter.text() == HAS_ONE


def test_each_attempt_of_a_slot_has_its_own_home(accounted: Lab) -> None:
    with Supervisors(accounted.zygote) as accounted.supervisors:
        accounted.run(OWN, language="python")
        accounted.run(OWN, language="python")
        assert [each.name[:10] for each in accounted.work_dir.iterdir()] == [".accounts-"]
    assert accounted.reporter.text() == HAS_ONE * 2
    assert list(accounted.work_dir.iterdir()) == []


def test_the_accounts_are_out_of_the_jobs_reach(accounted: Lab) -> None:
    before = Path("/etc/passwd").read_bytes()
    script = "for f in /etc/passwd /etc/group; do echo x >> $f || rm $f || umount $f || :; done"
    with Supervisors(accounted.zygote) as accounted.supervisors:
        accounted.run(script, language="sh")
        accounted.run(OWN, language="python")
    assert HAS_ONE in accounted.reporter.text("stdout")
    assert Path("/etc/passwd").read_bytes() == before


@needs_root
def test_jobs_of_root_see_the_machines_accounts_through_a_supervisor_of_their_own(lab: Lab) -> None:
    look = "md5sum /etc/passwd; readlink /proc/self/ns/mnt"
    with Supervisors(lab.zygote) as lab.supervisors:
        lab.run("true")
        lab.run(look, isolation=Isolation("none"), language="sh")
    here = subprocess.run(["sh", "-c", look], check=True, capture_output=True, text=True).stdout
    assert lab.reporter.text("stdout") == here


@pytest.fixture
def zygote_that_may_not_mount(folder: Path) -> Iterator[ZygoteProcess]:
    python = folder / "python"
    drop = "--inh-caps=-sys_admin --bounding-set=-sys_admin"
    python.write_text(f'#!/bin/sh\nexec setpriv {drop} {shutil.which("python3")} "$@"\n')
    python.chmod(0o755)
    with ZygoteProcess.start(folder / "zygote", python=str(python)) as process:
        yield process


@needs_root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")
def test_a_runner_that_may_not_mount_runs_jobs_all_the_same(
    work_dir: Path, zygote_that_may_not_mount: ZygoteProcess
) -> None:
    isolation = Isolation("uid", JOB_UID, JOB_UID)
    lab = Lab(work_dir, zygote_that_may_not_mount.client(), isolation)
    with Supervisors(lab.zygote) as lab.supervisors:
        for each in (isolation, Isolation("none"), isolation):
            result = lab.run("id -un 2>&1 || echo none", isolation=each)
            assert (result.outcome, result.message) == ("succeeded", "")
    shown = [line for line in lab.reporter.text("stdout").splitlines() if "id:" not in line]
    assert shown == [str(JOB_UID), "none", "root", str(JOB_UID), "none"]


# --- The files by themselves ----------------------------------------------------------------------
@pytest.fixture
def machine(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    (folder / "group").write_text("root:x:0:\n")
    return folder


def test_they_are_made_anew_when_the_machines_change(machine: Path, work_dir: Path) -> None:
    isolation = Isolation("uid", 64000, 64000)
    with closing(Accounts(machine)) as accounts:
        first = accounts.folder_for(isolation, work_dir=str(work_dir), home="/a/home")
        assert accounts.folder_for(isolation, work_dir=str(work_dir), home="/bb/home") == first
        passwd = Path(first, "passwd").read_text().splitlines()
        assert [line.split(":")[5] for line in passwd] == ["/bb/home", "/root"]
        (machine / "new").write_text("new:x:1000:1000::/home/new:/bin/bash\n")
        (machine / "new").replace(machine / "passwd")
        second = accounts.folder_for(isolation, work_dir=str(work_dir), home="/a/home")
        assert "new:x:1000" in Path(second, "passwd").read_text()
        assert (second == first, Path(first).exists()) == (False, False)
    assert list(work_dir.iterdir()) == []


def test_what_a_dead_slot_left_of_them_is_removed_by_the_next(
    machine: Path, work_dir: Path
) -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    left = work_dir / f".accounts-{process.pid}-1-left"
    left.mkdir()
    (left / "passwd").touch()
    with closing(Accounts(machine)) as accounts:
        accounts.folder_for(Isolation("sandbox"), work_dir=str(work_dir), home="/home")
        assert not left.exists()


def test_where_the_machine_has_none_a_job_has_none(tmp_path: Path, work_dir: Path) -> None:
    with closing(Accounts(tmp_path)) as accounts:
        assert accounts.folder_for(Isolation("sandbox"), work_dir=str(work_dir), home="/h") == ""
