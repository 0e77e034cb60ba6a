"""A job of a user of its own leaves nothing for the next of that user, wherever it wrote it."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from runners.executor.traces import OPEN_TO_ALL, remove_traces
from runners.supervisor import ipc
from tests.runners.executor.attempts import JOB_UID, Lab, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: jobs with their own user")

LEFT = r"""
import ctypes, os, sys
for place in sys.argv[1:]:
    try:
        os.makedirs(f"{place}/left-{os.getuid()}/deep")
        open(f"{place}/left-{os.getuid()}.file", "w").close()
        os.symlink("/etc", f"{place}/left-{os.getuid()}.link")
    except OSError as error: print(error)
libc = ctypes.CDLL(None)
print(libc.shmget(0x5EED, 4096, 0o1600) >= 0, libc.msgget(0x5EED, 0o1600) >= 0,
      libc.semget(0x5EED, 1, 0o1600) >= 0)
libc.syscall(248, b"user", b"left", b"secret", 6, -4)  # add_key
"""
SOUGHT = """
import ctypes
print(ctypes.CDLL(None).syscall(250, 10, -4, b"user", b"left", 0))  # keyctl search
"""


def places() -> list[str]:
    return [each for each in OPEN_TO_ALL if Path(each).is_dir() and each != "/dev/mqueue"]


def left_of(uid: int) -> list[str]:
    files = [
        str(path)
        for place in places()
        for path in Path(place).iterdir()
        if path.lstat().st_uid == uid
    ]
    objects = [
        line
        for kind in ("shm", "msg", "sem")
        for line in Path(f"/proc/sysvipc/{kind}").read_text().splitlines()
        if str(uid) in line.split()
    ]
    return files + objects


def test_files_in_open_folders_and_objects_of_the_kernel_go_with_the_job(lab: Lab) -> None:
    script = LEFT.replace("sys.argv[1:]", repr(places()))
    result = lab.run(script, language="python")
    assert (result.outcome, lab.reporter.text("stdout")) == ("succeeded", "True True True\n")
    assert left_of(JOB_UID) == []
    lab.run(SOUGHT, language="python")
    assert lab.reporter.text("stdout").endswith("\n-1\n")


def test_what_others_have_there_stays(folder: Path) -> None:
    mine = Path("/tmp") / f"kept-{os.getpid()}"
    mine.touch()
    try:
        subprocess.run(
            ["/usr/bin/touch", f"/tmp/left-{os.getpid()}"],
            check=True,
            user=JOB_UID + 7,
            group=JOB_UID + 7,
            extra_groups=[],
        )
        remove_traces(JOB_UID + 7)
        assert mine.exists()
        assert left_of(JOB_UID + 7) == []
    finally:
        mine.unlink()


def test_a_folder_that_was_clean_before_is_looked_into_again_once_it_changed() -> None:
    uid, place = JOB_UID + 9, Path("/var/tmp")
    wait_until(lambda: time.time() > place.stat().st_ctime + 1.1, "a pause in what others do there")
    for _time in range(2):
        remove_traces(uid)
        make = f"import os; os.mkdir('{place}/left-{uid}')"
        subprocess.run(
            ["/usr/bin/python3", "-c", make], check=True, user=uid, group=uid, extra_groups=[]
        )
        remove_traces(uid)
        assert left_of(uid) == []


def test_objects_of_root_are_never_removed() -> None:
    with pytest.raises(ValueError, match="unprivileged"):
        ipc.forget(0)
