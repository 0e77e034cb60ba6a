"""What a job that looks for the runner's secrets finds: nothing, at levels sandbox and uid."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import uuid
from pathlib import Path

import pytest

from runners.executor.shapes import Isolation, OutputWord
from runners.executor.zygote import ZygoteProcess
from tests.runners.executor.attempts import JOB_UID, LEVELS, Lab, isolation_of

CANARY = "c4n4ry-value"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: jobs with their own user")

# Looks everywhere that a process may read, and says what it found.
SEARCH = r"""
import glob, os, socket, stat, sys
canary = b"c4n4ry" + b"-value"
found = []
def look(path):
    try:
        if stat.S_ISFIFO(os.stat(path).st_mode): return  # its own streams, which would block
        with open(path, "rb") as file:
            if canary in file.read(1 << 20): found.append(path)
    except OSError: pass
for process in glob.glob("/proc/[0-9]*"):
    for name in ("environ", "cmdline", "fd/*", "task/*/environ", "root/etc/hostname"):
        for path in glob.glob(f"{process}/{name}"): look(path)
    try:
        maps = [line.split()[0].split("-") for line in open(f"{process}/maps") if " rw" in line]
        with open(f"{process}/mem", "rb", 0) as memory:
            for low, high in maps:
                try:
                    memory.seek(int(low, 16))
                    content = memory.read(int(high, 16) - int(low, 16))
                    if process != f"/proc/{os.getpid()}" and canary in content:
                        found.append(f"{process}/mem")
                except (OSError, ValueError, OverflowError): pass
    except OSError: pass
for path in sys.argv[1:]: look(path)
print("found", found)
print("descriptors", sorted(int(name) for name in os.listdir("/proc/self/fd"))[:-1])
print("user", os.getuid(), os.getgid(), os.getgroups())
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
capabilities = [int(status[name], 16) for name in ("CapEff", "CapPrm")]
print("privileges", status["NoNewPrivs"].strip(), *capabilities)
def refused(act):
    try: act()
    except OSError: return "refused"
    return "ALLOWED"
print("kill", refused(lambda: os.kill(int(os.environ["RUNNER"]), 0)))
print("ptrace", refused(lambda: open(f"/proc/{os.environ['RUNNER']}/mem", "rb")))
print("root", refused(lambda: os.setuid(0)))
zygote = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
print("zygote", refused(lambda: zygote.connect(os.environ["ZYGOTE"])))
print("others", refused(lambda: os.listdir(os.environ["WORK_DIR"])))
"""


@pytest.fixture(params=[level for level in LEVELS if level != "none"])
def guarded(request: pytest.FixtureRequest, work_dir: Path, zygote: ZygoteProcess) -> Lab:
    isolation = isolation_of(request.param)
    if isolation is None:
        pytest.skip(f"this machine or user cannot isolate by {request.param}")
    return Lab(work_dir, zygote.client(), isolation)


@needs_root
def test_a_hostile_job_finds_no_canary(
    guarded: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = ", ".join(map(str, groups_of(guarded)))
    private = guarded.work_dir / "private"
    private.mkdir(mode=0o700)
    for name in ("config", "key"):
        (private / name).write_text(CANARY)
        (private / name).chmod(0o600)
    monkeypatch.setenv("CONVEYOR_CANARY", CANARY)
    environment = {**os.environ, "CONVEYOR_CANARY": CANARY}
    files = repr([str(private / "config"), str(private / "key")])
    with (
        (private / "config").open("rb") as leaked,
        subprocess.Popen(["sleep", "60"], env=environment) as runner,
    ):
        os.set_inheritable(leaked.fileno(), True)
        facts = {
            "RUNNER": str(runner.pid),
            "ZYGOTE": str(tmp_path / "zygote.sock"),
            "WORK_DIR": str(private),
        }
        try:
            with ZygoteProcess.start(tmp_path) as own_zygote:
                guarded.zygote = own_zygote.client()
                script = SEARCH.replace("sys.argv[1:]", files)
                guarded.run(script, language="python", environment=facts)
        finally:
            runner.kill()
    shown = dict(line.split(" ", 1) for line in guarded.reporter.text("stdout").splitlines())
    assert shown == {
        "found": "[]",
        "descriptors": "[0, 1, 2]",
        "user": f"{JOB_UID} {JOB_UID} [{groups}]",
        "privileges": "1 0 0",
        "kill": "refused",
        "ptrace": "refused",
        "root": "refused",
        "zygote": "refused",
        "others": "refused",
    }


def groups_of(lab: Lab) -> list[int]:
    """Return the groups that a job sees: inside a user namespace its own one may be listed."""
    other = Lab(lab.work_dir, lab.zygote, lab.isolation)
    other.run("import os; print(*os.getgroups())", language="python")
    groups = [int(group) for group in other.reporter.text("stdout").split()]
    assert set(groups) <= {JOB_UID}
    return groups


@needs_root
def test_a_job_reaches_no_file_of_another_job(guarded: Lab) -> None:
    first = guarded.assignment("true")
    neighbour = guarded.work_dir / "01234567-0123-7123-8123-0123456789ab"
    neighbour.mkdir(mode=0o700)
    (neighbour / "canary").write_text(CANARY)
    os.chown(neighbour, JOB_UID + 1, JOB_UID + 1)
    guarded.run(f"cat {neighbour}/canary; ls {guarded.work_dir}; echo end", language="sh")
    assert CANARY not in guarded.reporter.text()
    assert first.attempt_id not in guarded.reporter.text("stdout")


def test_a_job_of_the_runners_own_user_leaves_it_half_of_its_processes(
    work_dir: Path, zygote: ZygoteProcess
) -> None:
    lab = Lab(work_dir, zygote.client(), Isolation("none"))
    before = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (3000, before[1]))
    try:
        lab.run("ulimit -u; ulimit -Hu")
    finally:
        resource.setrlimit(resource.RLIMIT_NPROC, before)
    assert lab.reporter.text("stdout") == "1500\n1500\n"


def test_a_sandbox_shows_only_its_own_processes(guarded: Lab) -> None:
    if guarded.isolation.level != "sandbox":
        guarded.run("true")
        return
    guarded.run("ls /proc | grep -c '^[0-9]*$'; ls /root /home 2>&1 || :")
    count = int(guarded.reporter.text("stdout").split()[0])
    assert count <= 6


def test_a_sandbox_hides_what_it_is_told_to(guarded: Lab, tmp_path: Path) -> None:
    if guarded.isolation.level != "sandbox":
        return
    hidden = guarded.work_dir.parent / f"{guarded.work_dir.name}-hidden"
    hidden.mkdir(mode=0o755)
    try:
        (hidden / "canary").write_text(CANARY)
        isolation = guarded.isolation
        changed = type(isolation)(
            isolation.level, isolation.uid, isolation.gid, isolation.bubblewrap, (str(hidden),)
        )
        guarded.run(f"cat {hidden}/canary || echo hidden", isolation=changed)
    finally:
        (hidden / "canary").unlink()
        hidden.rmdir()
    assert guarded.reporter.text("stdout") == "hidden\n"


def test_the_network_and_the_systems_tools_are_there(lab_of_each_level: Lab) -> None:
    lab, mine = lab_of_each_level, Path("/tmp") / f"conveyor-test-{uuid.uuid4()}"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = (
            f"exec 3<>/dev/tcp/127.0.0.1/{port}; git --version; python3 -c 'import ssl, sqlite3';"
            f" echo x > {mine}; cat {mine}; mktemp -d; date > /dev/null; X=ok"
        )
        try:
            result = lab.run(script, outputs=(OutputWord("X"),))
        finally:
            mine.unlink(missing_ok=True)
    assert (result.message, result.outputs) == ("", {"X": "ok"})


def test_a_job_without_isolation_cannot_be_read_by_accident(lab: Lab) -> None:
    lab.run("tr '\\0' '\\n' < /proc/$PPID/environ | head -5; ls -l /proc/self/fd | wc -l")
    assert "CONVEYOR" not in lab.reporter.text("stdout")
