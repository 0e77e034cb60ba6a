"""A work folder, a zygote and a lab for each isolation level that this machine allows."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runners.executor.workspace import prepare_work_dir
from runners.executor.zygote import ZygoteProcess
from tests.runners.executor.attempts import LEVELS, Lab, isolation_of


@pytest.fixture(scope="module")
def zygote() -> Iterator[ZygoteProcess]:
    folder = Path(tempfile.mkdtemp(prefix="conveyor-test-"))
    with ZygoteProcess.start(folder / "zygote") as process:
        yield process
    shutil.rmtree(folder)


@pytest.fixture
def work_dir() -> Iterator[Path]:
    # Not pytest's own temporary folders, which lie below a private one.
    folder = Path(tempfile.mkdtemp(prefix="conveyor-test-"))
    prepare_work_dir(folder, other_users=os.geteuid() == 0)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def small_disk(work_dir: Path) -> Iterator[Path]:
    """A work folder on a disk of 1 MiB and 128 files."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=128", "none", str(work_dir)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("this user cannot mount a small disk")
    prepare_work_dir(work_dir, other_users=True)
    yield work_dir
    subprocess.run(["umount", str(work_dir)], check=True)


@pytest.fixture
def lab(work_dir: Path, zygote: ZygoteProcess) -> Lab:
    """Run at the level of a plain runner: uid as root, else none."""
    isolation = isolation_of("uid") or isolation_of("none")
    assert isolation is not None
    return Lab(work_dir, zygote.client(), isolation)


@pytest.fixture(params=LEVELS)
def lab_of_each_level(request: pytest.FixtureRequest, work_dir: Path, zygote: ZygoteProcess) -> Lab:
    isolation = isolation_of(request.param)
    if isolation is None:
        pytest.skip(f"this machine or user cannot isolate by {request.param}")
    return Lab(work_dir, zygote.client(), isolation)
