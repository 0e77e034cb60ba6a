"""The processes of a demonstration site: orchestrator and runner. They die with this process."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from django.conf import settings

from products.errors import PlatformError
from runners.process import guard

#: Seconds that running jobs have to end when the site ends; then the runner stops them.
DRAIN_S = 60.0
#: Further seconds for a process to end: a job may take 10 s between SIGTERM and SIGKILL.
ENDING_S = 16.0
#: Default time limit of ``wait_for``, in seconds.
LIMIT_S = 120.0
_LOOK_EVERY_S = 0.1
_LINES_SHOWN = 15


class PartEndedError(PlatformError):
    """A part of the site ended by itself."""

    code = "demo.part-ended"


class NotInTimeError(PlatformError):
    """Something that was waited for did not happen."""

    code = "demo.not-in-time"


class Part:
    """One ``manage.py`` command, in a session of its own so that Ctrl-C reaches only its parent."""

    def __init__(self, name: str, *arguments: str, log: Path, environment: Mapping[str, str]):
        self.name = name
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "manage.py", *arguments],
                cwd=settings.BASE_DIR,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # This process has no other thread, so a function between fork and exec is safe.
                preexec_fn=functools.partial(guard.die_with, os.getpid()),  # noqa: PLW1509
            )

    def check(self) -> None:
        """Raise PartEndedError with the last lines of its log if it has ended."""
        code = self._process.poll()
        if code is None:
            return
        lines = self.log.read_text(errors="replace").splitlines()[-_LINES_SHOWN:]
        raise PartEndedError("\n".join([f"The {self.name} ended with exit code {code}:", *lines]))

    def ask_to_end(self) -> None:
        """Send it SIGTERM, unless it has ended."""
        if self._process.poll() is None:
            self._process.terminate()

    def has_ended(self) -> bool:
        """Return whether it has ended."""
        return self._process.poll() is not None

    def kill(self) -> None:
        """Kill it; its children die with it."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


class Parts:
    """The processes in the order of their start; they end in reverse order."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = dict(environment)
        self._parts: list[Part] = []

    def start(self, name: str, *arguments: str) -> None:
        """Start ``manage.py`` with these arguments; its log is ``<name>.log``."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        log = self._folder / f"{name}.log"
        self._parts.append(Part(name, *arguments, log=log, environment=self._environment))

    def check(self) -> None:
        """Raise PartEndedError if one of them has ended."""
        for part in self._parts:
            part.check()

    def wait_for(self, done: Callable[[], object], what: str, *, limit_s: float = LIMIT_S) -> None:
        """Wait until ``done`` returns a true value.

        Raises NotInTimeError with ``what``, and PartEndedError if a process ends meanwhile.
        """
        deadline = time.monotonic() + limit_s
        while not done():
            self.check()
            if time.monotonic() > deadline:
                raise NotInTimeError(
                    f"This did not happen within {limit_s:g} s: {what}. See the logs in "
                    f"{self._folder}."
                )
            time.sleep(_LOOK_EVERY_S)

    def wait_for_ever(self) -> None:
        """Return never; raise PartEndedError if a part ends."""
        while True:
            self.check()
            time.sleep(_LOOK_EVERY_S)

    def end(self) -> None:
        """Send SIGTERM to each, the last first, and wait. After Ctrl-C send it again, and kill.

        A runner stops its jobs at the second SIGTERM.
        """
        for part in reversed(self._parts):
            try:
                _end(part)
            except KeyboardInterrupt:
                _end_soon(part)

    def kill(self) -> None:
        """End all of them at once."""
        for part in reversed(self._parts):
            part.kill()

    def __enter__(self) -> Parts:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.end()
        finally:
            self.kill()


def _end(part: Part, within_s: float = DRAIN_S + ENDING_S) -> None:
    part.ask_to_end()
    deadline = time.monotonic() + within_s
    while not part.has_ended() and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY_S / 4)


def _end_soon(part: Part) -> None:
    _end(part, within_s=ENDING_S)
    part.kill()
