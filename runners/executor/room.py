"""A work folder without room: how that is seen, and what is said of it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

#: What would help, for the end of a sentence about it.
WAY_OUT = (
    "Let jobs write less there, or give the runner a work folder on a disk with more room "
    "(CONVEYOR_WORK_DIR)."
)
_NO_SPACE = "no space left on device in the work folder"
_NO_FILES = "no room for another file in the work folder"
_NO_QUOTA = "the quota of the work folder is used up"
_GONE = "the work folder was removed while the job ran"
#: What the job itself did to the folders that the runner made for it.
REMOVED = "the folders of the job were removed while it ran"
LEAVE_ALONE = "Leave the folders above the workspace as they are."
CLOSED = "the folders of the job were closed by a chmod while it ran"
MISSING = "files that the runner had written for the job were removed"
_WAYS_OUT = {
    _GONE: "Keep others from removing it.",
    **dict.fromkeys((REMOVED, CLOSED, MISSING), LEAVE_ALONE),
}
_OF_ERRORS = {errno.ENOSPC: _NO_SPACE, errno.EDQUOT: _NO_QUOTA}
# A disk with less than this counts as full: what a job could not write may have been larger.
_LEAST_BYTES = 64 * 1024


def way_out_of(lack: str) -> str:
    """Return what would help against what ``shortage`` returned."""
    return _WAYS_OUT.get(lack, WAY_OUT)


def shortage(descriptor: int) -> str:
    """Return what the disk of an open folder lacks for another file, or "" if it lacks nothing."""
    if not os.fstat(descriptor).st_nlink:
        return _GONE
    facts = os.fstatvfs(descriptor)
    # Of neither there is a number where there is no limit.
    if facts.f_blocks and facts.f_bavail * facts.f_frsize < _LEAST_BYTES:
        return _NO_SPACE
    return _NO_FILES if facts.f_files and not facts.f_favail else ""


def lack_of(folder: Path, *, least_bytes: int, least_files: int) -> str:
    """Return as a sentence what a folder's disk lacks to prepare another job, or "" for nothing.

    Raises FileNotFoundError for a folder that is gone.
    """
    try:
        facts = os.statvfs(folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        return f"The work folder cannot be used: {error.strerror or error}."
    free = facts.f_bavail * facts.f_frsize
    if facts.f_blocks and free < least_bytes:
        return (
            f"Only {free >> 20} MiB are free in the work folder, and a job needs "
            f"{least_bytes >> 20} MiB."
        )
    if facts.f_files and facts.f_favail < least_files:
        return (
            f"Only {facts.f_favail} more files can be made in the work folder, and a job needs "
            f"{least_files}."
        )
    return ""


def why(error: OSError) -> str:
    """Return the reason of an error in the work folder as sentences, the first without its begin.

    It tells the way out where the reason is a lack of room.
    """
    known = _OF_ERRORS.get(error.errno or 0)
    return f"{known}. {WAY_OUT}" if known else f"{error.strerror or error}."
