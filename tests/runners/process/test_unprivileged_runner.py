"""What a runner of an ordinary user tells of folders that are not that user's."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from runners.process.places import prepare_places
from tests.own_database import REPOSITORY

USER = 300_000 + os.getpid()

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may start processes of other users"),
]

# Interpreter, environment and repository may lie where only their owner may look: then they are
# shown at the same paths, in open folders. Arguments: the closed folders; what lies in them; the
# command.
_AS_USER = """
set -e
closed=; held=; number=0
while [ "$1" != -- ]; do closed="$closed $1"; shift; done; shift
while [ "$1" != -- ]; do
    number=$((number + 1)); mkdir "$HOLD/$number"; mount --bind "$1" "$HOLD/$number"
    held="$held $1"; shift
done; shift
for folder in $closed; do mount -t tmpfs -o mode=755 tmpfs "$folder"; done
number=0
for place in $held; do
    number=$((number + 1)); mkdir -p "$place"; mount --bind "$HOLD/$number" "$place"
done
exec setpriv --reuid="$USER_ID" --regid="$USER_ID" --clear-groups "$@"
"""
_IN_OWN_MOUNTS = ("unshare", "--mount", "sh", "-c", _AS_USER, "sh")
_MANAGE = (sys.executable, "-B", "manage.py")
_NEEDED = (Path(sys.base_prefix), Path(sys.prefix), REPOSITORY)


def closed_above(place: Path) -> list[Path]:
    """Return the outermost folder that keeps others from a place, if any does."""
    folders = reversed([place, *place.parents])
    return [each for each in folders if not each.stat().st_mode & 0o001][:1]


@pytest.fixture
def open_folder(folder: Path) -> Path:
    """A folder that others may enter, with ``data`` of the user's own in it."""
    folder.chmod(0o755)
    (folder / "data").mkdir()
    os.chown(folder / "data", USER, USER)
    return folder


def manage_as_user(
    command: str, open_folder: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    closed = dict.fromkeys(folder for place in _NEEDED for folder in closed_above(place))
    hidden = [str(place) for place in _NEEDED if closed_above(place)]
    with tempfile.TemporaryDirectory() as hold:
        return subprocess.run(
            [
                *_IN_OWN_MOUNTS,
                *map(str, closed),
                "--",
                *hidden,
                "--",
                sys.executable,
                "-B",
                "manage.py",
                command,
            ],
            cwd=REPOSITORY,
            env={
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "HOLD": hold,
                "USER_ID": str(USER),
                "CONVEYOR_DATA_DIR": str(open_folder / "data"),
                "CONVEYOR_WORK_DIR": str(open_folder / "data" / "work"),
                "CONVEYOR_BROKER_URL": "memory://",
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def test_a_folder_of_path_that_is_closed_to_the_user_is_left_out_and_named(
    open_folder: Path,
) -> None:
    (open_folder / "home" / "bin").mkdir(parents=True)
    (open_folder / "home").chmod(0o700)
    (open_folder / "closed").mkdir(mode=0o700)
    path = f"{open_folder}/home/bin:{open_folder}/closed:/usr/bin:/bin"
    checked = manage_as_user("runner_doctor", open_folder, PATH=path)
    started = manage_as_user("runner", open_folder, PATH=path)
    for folder in (open_folder / "home" / "bin", open_folder / "closed"):
        told = f"The folder {folder} is left out of the PATH of jobs: this user may not look into"
        assert f"no: {told}" in checked.stdout
        assert told in started.stderr
    assert "ok: `true` works in a job." in checked.stdout
    # It came as far as the database, which has no tables.
    assert "manage.py migrate" in started.stderr
    assert "Errno" not in checked.stdout + checked.stderr + started.stderr


@pytest.mark.parametrize("command", ["runner", "runner_doctor"])
@pytest.mark.parametrize("part", ["", "/.locks"])
def test_another_users_work_folder_is_told_with_its_owner(
    open_folder: Path, command: str, part: str
) -> None:
    work = open_folder / "work"
    prepare_places(work)
    if part:
        os.chown(work, USER, USER)
    done = manage_as_user(command, open_folder, CONVEYOR_WORK_DIR=str(work))
    what = f"{work}{part}" if part else "it"
    assert (
        f"The work folder {work} cannot be used: {what} belongs to the user root, and the user "
        f"{USER} may not work in it. Start the runner as the user root, or set CONVEYOR_WORK_DIR "
        "to a folder in which this runner's user may write."
    ) in done.stdout + done.stderr
    assert done.returncode == 1


def test_a_work_folder_that_may_not_be_made_is_told_with_who_may(open_folder: Path) -> None:
    work = open_folder / "deep" / "work"
    done = manage_as_user("runner", open_folder, CONVEYOR_WORK_DIR=str(work))
    assert (
        f"The work folder {work} cannot be used: the user {USER} may not make it in {open_folder} "
        "of the user root. Make it, or set CONVEYOR_WORK_DIR"
    ) in done.stderr
