"""What dead runners left in a work folder, removed by those that start later.

A runner that lives holds the lock on its name, and nobody else touches its folder.
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from pathlib import Path

from runners.executor.workspace import discard, left_of, leftovers, sweep
from runners.process.locks import LOCKS, held_if_dead, sweeping

logger = logging.getLogger(__name__)

_PATIENCE_S = 2.0
_LOOK_EVERY_S = 0.05


class InUseError(OSError):
    """A runner that lives has something of a user that is to be another's."""


def sweep_dead_runners(work_dir: Path) -> None:
    """Kill and remove what is left of the attempts of a work folder's dead runners.

    What cannot be removed is told in a warning: it is in the way of whoever may reach it.
    """
    left = [folder for folder in _runner_folders(work_dir) if leftovers(folder)]
    if not left:
        return
    with sweeping(work_dir):
        for folder in left:
            with held_if_dead(work_dir, folder.name) as is_dead:
                if is_dead:
                    _sweep(folder)


def _sweep(folder: Path) -> None:
    try:
        swept = sweep(folder)
    except OSError as error:
        logger.warning("What a dead runner left in %s could not be removed: %s", folder, error)
    else:
        logger.info("Removed what a dead runner left in %s of %d attempts.", folder, len(swept))


def sweep_user(work_dir: Path, uid: int) -> None:
    """Remove what ``uid``, which no runner has and no process is of, left in a work folder.

    Raises OSError for what it can reach afterwards; InUseError if that is a living runner's.
    """
    for folder in _runner_folders(work_dir):
        deadline = time.monotonic() + _PATIENCE_S
        while names := left_of(folder, uid):
            if _discard(folder, names):
                continue
            # Its runner, or another that starts, may be about to remove it.
            if time.monotonic() > deadline:
                raise InUseError(f"a living runner uses {folder}")
            time.sleep(_LOOK_EVERY_S)


def _discard(folder: Path, names: list[str]) -> bool:
    """Remove what lies in a runner's folder; return False where that runner lives."""
    work_dir = folder.parent
    if not (work_dir / LOCKS).is_dir():
        discard(folder, names)
        return True
    with sweeping(work_dir), held_if_dead(work_dir, folder.name) as is_dead:
        if is_dead is not False:
            discard(folder, names)
        return is_dead is not False


def _runner_folders(work_dir: Path) -> list[Path]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(work_dir) as entries:
        return sorted(
            Path(entry.path)
            for entry in entries
            if entry.name != LOCKS and entry.is_dir(follow_symlinks=False)
        )
    return []
