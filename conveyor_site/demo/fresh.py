"""Running a command in a site that is made for it and removed afterwards."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from django.conf import settings

from runners.process import guard

# A user's own site must not be touched, so nothing that leads to it is handed on.
_PREFIX = "CONVEYOR_"
_KEPT = ("CONVEYOR_LOG_LEVEL",)

#: The signals that ask for an end.
POLITE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_fresh(*arguments: str) -> int:
    """Run ``manage.py`` with these arguments in a temporary site; return its exit code.

    The site has data and work folder of its own and no configuration. Signals that ask for an end
    are the child's: it ends its parts, then this removes the folder.
    """
    with _fresh_folder() as folder:
        child = subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=settings.BASE_DIR,
            env=_environment(folder),
            start_new_session=True,
            # This process has no other thread, so a function between fork and exec is safe.
            preexec_fn=functools.partial(guard.die_with, os.getpid()),  # noqa: PLW1509
        )
        with _forwarding(child):
            return child.wait()


@contextmanager
def _fresh_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="conveyor-demo-"))
    # Jobs of a root runner are other users, who pass through to their own folders.
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _environment(folder: Path) -> dict[str, str]:
    mine = {
        key: text for key, text in os.environ.items() if not key.startswith(_PREFIX) or key in _KEPT
    }
    return {
        **mine,
        "CONVEYOR_DATA_DIR": str(folder / "data"),
        "CONVEYOR_WORK_DIR": str(folder / "work"),
    }


@contextmanager
def _forwarding(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Hand the polite signals on to the child, which is in a session of its own."""

    def forward(number: int, _frame: FrameType | None) -> None:
        child.send_signal(number)

    before = {number: signal.signal(number, forward) for number in POLITE}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
