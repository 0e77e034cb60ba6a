"""A runner whose work folder is full or gone claims no job, and says why."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from belts.spec.shapes import OutputSpec
from runners.errors import NoPlaceError
from runners.models import Runner
from runners.process.places import prepare_places, take_name
from runners.querysets import served_queues
from tests.runners.process.living import Site
from tests.waiting import until

pytestmark = pytest.mark.processes


@pytest.fixture
def small_disk(site: Site) -> Iterator[Path]:
    """Make the work folder a disk of 8 MiB and 2000 files."""
    site.work_dir.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,nr_inodes=2000", "none", str(site.work_dir)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this user cannot mount a small disk")
    try:
        yield site.work_dir
    finally:
        site.kill_all()
        subprocess.run(["umount", "--lazy", site.work_dir], check=True)


def fill_bytes(folder: Path) -> None:
    (folder / "full").write_bytes(bytes(6 * 2**20))


def fill_files(folder: Path) -> None:
    (folder / "full").mkdir()
    for number in range(1500):
        (folder / "full" / str(number)).touch()


@pytest.mark.parametrize(
    ("fill", "said"), [(fill_bytes, "MiB are free"), (fill_files, "more files can be made")]
)
def test_runner_claims_only_while_it_has_room(
    site: Site, small_disk: Path, fill: Callable[[Path], None], said: str
) -> None:
    limits = {"CONVEYOR_LEAST_FREE_MIB": "4", "CONVEYOR_LEAST_FREE_FILES": "1000"}
    runner = site.runner(**limits)
    [row] = site.ended(*site.queue_jobs("true"))
    assert row.state == "succeeded"
    fill(small_disk)
    until(lambda: said in Runner.objects.get().trouble, "the runner tells that it has no room")
    assert served_queues() == set()
    rows = site.queue_jobs("true", "true")
    until(lambda: "No job is claimed until there is more room" in runner.said, "its log says so")
    assert [site.state(each) for each in rows] == ["queued", "queued"]
    full = small_disk / "full"
    if full.is_dir():
        shutil.rmtree(full)
    else:
        full.unlink()
    assert {each.state for each in site.ended(*rows)} == {"succeeded"}
    until(lambda: served_queues() == {"default"}, "the runner tells that it has room again")


def test_runner_whose_work_folder_is_gone_ends(site: Site) -> None:
    runner = site.runner()
    go = site.folder / "go"
    script = f'echo begun; A=1; while [ ! -e "{go}" ]; do sleep 0.1; done'
    [row] = site.queue_jobs(script, outputs=(OutputSpec("A"),))
    site.running(row)
    shutil.rmtree(site.work_dir)
    go.touch()
    [ended] = site.ended(row)
    assert ended.message.startswith(
        "The value of output A could not be stored: the work folder was removed while the job ran."
    )
    assert runner.wait() == 1
    assert f"The work folder {site.work_dir}" in runner.said
    assert "was removed while the runner worked" in runner.said


def test_runner_whose_work_folder_was_emptied_ends(site: Site) -> None:
    runner = site.runner()
    for folder in site.work_dir.iterdir():
        for entry in folder.glob(".zygote"):
            shutil.rmtree(entry)
    assert runner.wait() == 1
    assert "was removed while the runner worked" in runner.said


def test_start_on_a_full_disk_is_refused_with_a_sentence(small_disk: Path) -> None:
    prepare_places(small_disk)
    with suppress(OSError), (small_disk / "full").open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    with pytest.raises(NoPlaceError, match="cannot be used: the disk is full") as refused:
        take_name(small_disk, "late", uuid4())
    assert "set CONVEYOR_WORK_DIR" in str(refused.value)
