"""The embedded database, with sessions and sealed credentials in it, is its owner's alone."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.conveyor_site.living import environment_of, manage

NAMES = ("conveyor.sqlite3", "conveyor.sqlite3-wal", "conveyor.sqlite3-shm")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("is_old", [False, True])
def test_private_file_in_an_open_folder_stays_private(folder: Path, is_old: bool) -> None:
    data = folder / "data"
    data.mkdir(mode=0o755)
    if is_old:
        for name in NAMES:
            (data / name).touch(mode=0o644)
    done = manage("check", environment=environment_of(folder, {"CONVEYOR_DATA_DIR": str(data)}))
    assert done.returncode == 0, done.stderr
    found = {each.name: mode(each) for each in data.iterdir() if each.is_file()}
    assert set(found.values()) == {0o600}
    assert "conveyor.sqlite3" in found
