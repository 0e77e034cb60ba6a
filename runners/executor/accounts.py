"""The account of a slot's jobs: an /etc/passwd and /etc/group that name their user.

Users for jobs are numbers without an account, and ssh, ``whoami`` and their like refuse to work for
such. ssh also takes the home from there, not from $HOME. So each slot has the machine's two files
with a line of its own in front. They are made once: for each attempt only that line is written
anew, since what shows them to a job shows these very files. They lie in the work folder, not
writable by jobs that have a user of their own; a sandbox shows them read-only.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import stat
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from runners.executor.shapes import Isolation
from runners.supervisor.namespaces import ACCOUNT_FILES
from runners.supervisor.wire import write_all

# The process that made a folder is in its name, as /proc has it: number and time of its start.
_NAME = re.compile(r"\.accounts-(?P<process>(?P<pid>[0-9]+)-[0-9]+)-.*")
_MACHINE = Path("/etc")
_SHELL = "/bin/bash"
_USER = "conveyor-job"

#: What tells one state of a file from another.
_State = tuple[int, int, int]


@cache
def user_name(uid: int | None) -> str:
    """Return the name of a job's user: that of its account, if the machine has one for it."""
    if uid is None:
        return _USER
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return _USER


class Accounts:
    """The files of one slot, whose jobs run one after the other. Close them in the end."""

    def __init__(self, machine: Path = _MACHINE) -> None:
        self._machine = machine
        self._made_for: tuple[str, list[_State]] | None = None
        self._folder = ""
        self._files: list[_File] = []

    def folder_for(self, isolation: Isolation, *, work_dir: str, home: str) -> str:
        """Return the folder of the files, which name the user of a job with that home.

        It is "" for jobs that have the runner's user and see the machine as it is, and where the
        machine has no such files. Raises OSError as the disk does.
        """
        if isolation.level != "sandbox" and isolation.uid is None:
            return ""
        states = self._states()
        if not states:
            return ""
        if self._made_for != (work_dir, states):
            # A file that was replaced also uncovers what lies over it.
            self.close()
            self._make(work_dir)
            self._made_for = work_dir, states
        uid = os.geteuid() if isolation.uid is None else isolation.uid
        gid = os.getegid() if isolation.gid is None else isolation.gid
        name = user_name(isolation.uid)
        passwd, group = self._files
        passwd.begin_with(f"{name}:x:{uid}:{gid}:Conveyor job:{home}:{_SHELL}\n".encode())
        group.begin_with(f"{name}:x:{gid}:\n".encode())
        return self._folder

    def _states(self) -> list[_State]:
        """Return the states of the machine's files; nothing unless all are there as plain files."""
        try:
            facts = [os.lstat(f"{self._machine}/{name}") for name in ACCOUNT_FILES]
        except FileNotFoundError:
            return []
        if not all(stat.S_ISREG(each.st_mode) for each in facts):
            return []
        return [(each.st_ino, each.st_mtime_ns, each.st_size) for each in facts]

    def _make(self, work_dir: str) -> None:
        remove_dead(Path(work_dir))
        prefix = f".accounts-{_process(os.getpid())}-"
        self._folder = tempfile.mkdtemp(prefix=prefix, dir=work_dir)
        # Jobs of other users go through; what they find there is no secret.
        Path(self._folder).chmod(0o711)
        for name in ACCOUNT_FILES:
            rest = (self._machine / name).read_bytes()
            self._files.append(_File(f"{self._folder}/{name}", rest))

    def close(self) -> None:
        """Remove the files; another attempt has them made anew."""
        for file in self._files:
            file.close()
        self._files.clear()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder, self._made_for = "", None


class _File:
    """A file of some lines of which only the first changes; nobody reads it meanwhile."""

    def __init__(self, path: str, rest: bytes) -> None:
        self._rest = rest
        self._first = b""
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.fchmod(self._descriptor, 0o644)

    def begin_with(self, line: bytes) -> None:
        """Make it begin with a line instead of the one before."""
        if line == self._first:
            return
        same_length = len(line) == len(self._first)
        self._first = b""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        write_all(self._descriptor, line if same_length else line + self._rest)
        if not same_length:
            os.ftruncate(self._descriptor, len(line) + len(self._rest))
        self._first = line

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)


def remove_dead(work_dir: Path) -> None:
    """Remove the files of slots that were killed, as far as that is possible."""
    for folder in work_dir.glob(".accounts-*"):
        match = _NAME.fullmatch(folder.name)
        if match and _process(int(match["pid"])) != match["process"]:
            shutil.rmtree(folder, ignore_errors=True)


def _process(pid: int) -> str:
    """Return what tells a living process from all others of this machine; "" for a dead one."""
    # Reference: proc_pid_stat(5): starttime is field 22, and the name, the second, is in brackets.
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return f"{pid}-{fields[19]}"
    return ""
