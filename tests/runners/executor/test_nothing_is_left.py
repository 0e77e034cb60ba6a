"""A job of a user of its own leaves nothing for the next of that user, wherever it wrote it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
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
# Reference: add_key(2), keyctl(2); 22 gets the persistent keyring, 10 searches.
KEYS = """
import ctypes, os
libc = ctypes.CDLL(None)
rings = {"session": -3, "user": -4, "user session": -5, "persistent": libc.syscall(250, 22, -1, -2)}
"""
KEEP_KEYS = f"""{KEYS}
for name, ring in rings.items():
    print(name, libc.syscall(248, b"user", name.encode(), b"secret", 6, ring) > 0)
"""
FIND_KEYS = f"""{KEYS}
for name, ring in rings.items():
    print(name, libc.syscall(250, 10, ring, b"user", name.encode(), 0) > 0)
ring = f"_uid.{{os.getuid()}}".encode()
print("linked", libc.syscall(250, 10, -5, b"keyring", ring, 0) > 0)
"""
QUEUES = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
name, message = f"/left-{os.getuid()}".encode(), ctypes.create_string_buffer(8192)
"""
SEND = f"""{QUEUES}
queue = libc.mq_open(name, os.O_CREAT | os.O_RDWR, 0o666, None)
print("sent", libc.mq_send(queue, b"secret", 6, 0))
for call in (libc.shmget(0x5EED, 4096, 0o1666), libc.msgget(0x5EED, 0o1666)):
    print("made", call >= 0)
"""
RECEIVE = f"""{QUEUES}
print("opened", libc.mq_open(name, os.O_RDWR), libc.shmget(0x5EED, 0, 0), libc.msgget(0x5EED, 0))
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


def test_keys_in_the_kernel_go_with_the_job(lab: Lab) -> None:
    rings = ("session", "user", "user session", "persistent")
    lab.run(KEEP_KEYS, language="python")
    assert lab.reporter.text("stdout").splitlines() == [f"{ring} True" for ring in rings]
    lab.reporter.chunks.clear()
    lab.run(FIND_KEYS, language="python")
    assert lab.reporter.text("stdout").splitlines() == [
        *(f"{ring} False" for ring in rings),
        "linked True",
    ]


def test_keys_of_a_session_go_with_the_stage(lab: Lab) -> None:
    lab.run(KEEP_KEYS, language="python", post_run=FIND_KEYS)
    assert "session True\n" in lab.reporter.text("stdout")
    assert "session False\n" in lab.reporter.text("stdout")


def test_message_queues_go_with_the_job(lab: Lab) -> None:
    lab.run(SEND, language="python")
    assert lab.reporter.text("stdout").splitlines() == ["sent 0", "made True", "made True"]
    assert left_of(JOB_UID) == []
    lab.reporter.chunks.clear()
    lab.run(RECEIVE, language="python")
    assert lab.reporter.text("stdout") == "opened -1 -1 -1\n"


def test_runner_that_may_not_unshare_cleans_up_and_reports_it(work_dir: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from runners.executor.isolation import detect\n"
        "from runners.executor.shapes import Isolation\n"
        "from runners.executor.zygote import ZygoteProcess\n"
        "from tests.runners.executor.attempts import SYSTEM_PATH, Lab\n"
        "work, uid, script = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]\n"
        "print(*detect(work, job_uid=uid, path=SYSTEM_PATH).sentences, sep='\\n')\n"
        "with ZygoteProcess.start(work / 'zygote') as zygote:\n"
        "    lab = Lab(work, zygote.client(), Isolation('uid', uid, uid))\n"
        "    print(lab.run(script, language='python').outcome, lab.reporter.text('stdout'))\n"
    )
    uid = JOB_UID + 11
    script = LEFT.replace("sys.argv[1:]", "[]")
    done = subprocess.run(
        [
            *("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"),
            *(sys.executable, "-c", code, str(work_dir), str(uid), script),
        ],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "no: At level uid jobs share the machine's message queues" in done.stdout
    assert "succeeded True True True\n" in done.stdout
    assert left_of(uid) == []
    shutil.rmtree(work_dir / "zygote")


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
