"""The process from which supervisors are forked: small, without secrets, without a database.

It accepts a slot's connection and forks; the connection is the new supervisor's control socket.
It is the subreaper of dead supervisors' trees and kills what they leave, and it ends with the
runner that started it, upon which its supervisors kill their trees.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import struct
import sys
from typing import NoReturn

from runners.supervisor import kernel
from runners.supervisor.processes import children_of, kill_children, reap
from runners.supervisor.supervisor import Supervisor

_CREDENTIALS = struct.Struct("3i")
#: The service manager signals the whole group when it stops the runner, which then drains.
UNHEEDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class Zygote:
    """The forking server on ``listener``; ``runner`` is the process with whose death it ends."""

    def __init__(self, listener: socket.socket, runner: int) -> None:
        self._listener = listener
        self._runner = os.pidfd_open(runner)
        self._self = os.pidfd_open(os.getpid())
        self._alarm, self._bell = socket.socketpair()
        self._bell.setblocking(False)
        self._supervisors: set[int] = set()
        self._strays_possible = False

    def serve(self) -> None:
        """Fork a supervisor for every connection until the runner is dead."""
        self._guard()
        waiting = select.poll()
        for each in (self._listener.fileno(), self._alarm.fileno(), self._runner):
            waiting.register(each, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _events in waiting.poll()}
            if self._runner in ready:
                # A signal after the end of the alarm would write to it, which is another signal.
                signal.set_wakeup_fd(-1)
                return
            if self._alarm.fileno() in ready:
                self._alarm.recv(4096)
                self._bury()
            if self._listener.fileno() in ready:
                self._accept()

    def _guard(self) -> None:
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        _ignore_nothing()
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)
        # Untouched objects stay in memory that the forks share.
        gc.collect()
        gc.freeze()
        gc.disable()

    def _accept(self) -> None:
        control, _address = self._listener.accept()
        with control:
            if not _is_of_own_user(control):
                return
            pid = os.fork()
            if pid == 0:
                self._supervise(control)
            self._supervisors.add(pid)

    def _supervise(self, control: socket.socket) -> NoReturn:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for end in (self._listener, self._alarm, self._bell):
                end.close()
            os.close(self._runner)
            Supervisor(control, self._self).serve()
            code = 0
        except BaseException:
            # The last frame of this process; its tree is dead by now, the slot sees it go.
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)

    def _bury(self) -> None:
        """Reap the dead; kill what a supervisor that died badly has left to this process."""
        statuses: dict[int, int] = {}
        reap(statuses)
        for pid, status in statuses.items():
            if pid in self._supervisors:
                self._supervisors.discard(pid)
                self._strays_possible |= status != 0
        if self._strays_possible:
            strays = set(children_of(os.getpid())) - self._supervisors
            kill_children(strays)
            # The death of each rings again: what it leaves behind is seen then.
            self._strays_possible = bool(strays)


def _is_of_own_user(peer: socket.socket) -> bool:
    facts = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return bool(_CREDENTIALS.unpack(facts)[1] == os.geteuid())


def _ignore_nothing() -> None:
    """Handle what is not to be heeded: a program would inherit what is ignored, not a handler."""
    for number in signal.valid_signals():
        if number in (*UNHEEDED, signal.SIGCHLD) or signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, _heed_not)


def _heed_not(_number: int, _frame: object) -> None:
    """Do nothing; a call of the kernel that was interrupted is made again."""


def main(listener: int, runner: int) -> None:
    """Serve on the listening socket of that descriptor for the runner of that process id."""
    os.chdir("/")
    # What jobs inherit: they can read nothing from 0, and others may read the files in the packages
    # that they make. Nobody else may enter the folder of their attempt.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.umask(0o022)
    for _step, call, arguments in kernel.OWN_SESSION_KEYRING:
        call(*arguments)
    os.closerange(3, listener)
    os.closerange(listener + 1, os.sysconf("SC_OPEN_MAX"))
    if os.getppid() != runner:
        sys.exit("The runner that started this process is gone.")
    with socket.socket(fileno=listener) as server:
        Zygote(server, runner).serve()
