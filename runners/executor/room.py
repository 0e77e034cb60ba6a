"""A work folder without room: how that is seen, and what is said of it."""

from __future__ import annotations

import errno
import os

#: What would help, for the end of a sentence about it.
WAY_OUT = (
    "Let jobs write less there, or give the runner a work folder on a disk with more room "
    "(CONVEYOR_WORK_DIR)."
)
_NO_SPACE = "no space left on device in the work folder"
_NO_FILES = "no room for another file in the work folder"
_NO_QUOTA = "the quota of the work folder is used up"
_OF_ERRORS = {errno.ENOSPC: _NO_SPACE, errno.EDQUOT: _NO_QUOTA}
# A disk with less than this counts as full: what a job could not write may have been larger.
_LEAST_BYTES = 64 * 1024


def shortage(descriptor: int) -> str:
    """Return what the disk of an open folder lacks for another file, or "" if it lacks nothing."""
    facts = os.fstatvfs(descriptor)
    # Of neither there is a number where there is no limit.
    if facts.f_blocks and facts.f_bavail * facts.f_frsize < _LEAST_BYTES:
        return _NO_SPACE
    return _NO_FILES if facts.f_files and not facts.f_favail else ""


def why(error: OSError) -> str:
    """Return the reason of an error in the work folder as sentences, the first without its begin.

    It tells the way out where the reason is a lack of room.
    """
    known = _OF_ERRORS.get(error.errno or 0)
    return f"{known}. {WAY_OUT}" if known else f"{error.strerror or error}."
