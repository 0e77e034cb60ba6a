from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from runners.errors import NoPlaceError
from runners.process.locks import locked, name_lock
from runners.process.places import (
    name_registered,
    own_place,
    place_of,
    prepare_places,
    remove_place,
    take_name,
)
from runners.process.users import JOB_UIDS, choose_slots
from tests.own_database import REPOSITORY
from tests.waiting import until

HOLD = """
import sys, time
from pathlib import Path
from uuid import UUID
from runners.process.places import take_name
take_name(Path(sys.argv[1]), "one", UUID(sys.argv[2]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def work_dir(tmp_path: Path) -> Path:
    prepare_places(tmp_path / "work")
    return tmp_path / "work"


class Holder:
    """Another process that holds the name ``one``."""

    def __init__(self, work_dir: Path, boot_id: UUID) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(work_dir), str(boot_id)],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"held\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def boot_id() -> UUID:
    return uuid4()


@pytest.fixture
def holder(work_dir: Path, boot_id: UUID) -> Iterator[Holder]:
    holder = Holder(work_dir, boot_id)
    yield holder
    holder.kill()


def test_the_place_of_a_runner_is_removed_once_it_has_ended(work_dir: Path, holder: Holder) -> None:
    mirrors = work_dir / "one" / "mirrors"
    mirrors.mkdir(parents=True)
    assert not remove_place(work_dir, "one")
    assert mirrors.is_dir()

    holder.kill()
    assert remove_place(work_dir, "one")
    assert [each.name for each in work_dir.rglob("*")] == [".locks"]
    assert remove_place(work_dir / "never", "one")


def test_a_name_belongs_to_one_living_runner_of_a_machine(work_dir: Path, holder: Holder) -> None:
    with pytest.raises(NoPlaceError, match="A runner named one runs on this machine already"):
        take_name(work_dir, "one", uuid4())
    assert take_name(work_dir, "another", uuid4()) == ()


def test_the_next_holder_of_a_name_learns_which_start_died(
    work_dir: Path, holder: Holder, boot_id: UUID
) -> None:
    holder.kill()
    assert take_name(work_dir, "one", uuid4()) == (boot_id,)


def test_dead_starts_are_known_back_to_the_last_that_registered(work_dir: Path) -> None:
    starts = [uuid4() for _ in range(4)]
    for start in starts:
        Holder(work_dir, start).kill()
        if start == starts[1]:
            name_registered(work_dir, "one", start)
    assert take_name(work_dir, "one", uuid4()) == tuple(starts[1:])


def test_slots_without_users_of_their_own_have_none(work_dir: Path) -> None:
    assert [place.uid for place in choose_slots(work_dir, 3, None)] == [None, None, None]


def test_each_slot_has_a_user_and_two_runners_share_none(work_dir: Path) -> None:
    first = choose_slots(work_dir, 2, JOB_UIDS)
    second = choose_slots(work_dir, 2, JOB_UIDS)
    uids = [place.uid for place in (*first, *second)]
    assert len(set(uids)) == 4
    assert all(uid is not None and JOB_UIDS[0] <= uid <= JOB_UIDS[1] for uid in uids)
    assert [place.number for place in second] == [0, 1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may have jobs of other users")
def test_runners_with_other_work_folders_share_no_user_either(
    work_dir: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    prepare_places(other)
    first = choose_slots(work_dir, 2, JOB_UIDS)
    second = choose_slots(other, 2, JOB_UIDS)
    assert len({place.uid for place in (*first, *second)}) == 4


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start processes of other users")
def test_a_user_with_a_process_is_nobodys(work_dir: Path) -> None:
    uid = 200_000 + os.getpid()  # no other test run on this machine takes the same
    with subprocess.Popen(["sleep", "60"], user=uid) as stranger:
        until(
            lambda: f"Uid:\t{uid}" in Path(f"/proc/{stranger.pid}/status").read_text(), "its user"
        )
        with pytest.raises(NoPlaceError, match="have only 0"):
            choose_slots(work_dir, 1, (uid, uid))
        stranger.kill()
    assert choose_slots(work_dir, 1, (uid, uid))[0].uid == uid


def test_accounts_are_nobodys_slots(work_dir: Path) -> None:
    with pytest.raises(NoPlaceError, match="--job-uids"):
        choose_slots(work_dir, 1, (0, 0))


def test_a_work_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        NoPlaceError, match=r"a file is in the place of it .* set CONVEYOR_WORK_DIR"
    ):
        prepare_places(tmp_path / "file" / "work")


def test_folder_of_a_long_name_is_kept_under_its_short_name(work_dir: Path) -> None:
    name = "build-runner-03.example.org"
    mirror = work_dir / name / ".mirrors" / "one"
    mirror.mkdir(parents=True)
    own = own_place(work_dir, name)
    assert own == work_dir / place_of(name)
    assert (own / ".mirrors" / "one").is_dir()
    assert not (work_dir / name).exists()


def test_folder_of_a_living_runner_keeps_its_long_name(work_dir: Path) -> None:
    name = "build-runner-03.example.org"
    (work_dir / name).mkdir()
    descriptor = name_lock(work_dir, name)
    assert locked(descriptor)
    own_place(work_dir, name)
    assert (work_dir / name).is_dir()
    os.close(descriptor)
