"""Messages about a file or folder that cannot be used."""

from __future__ import annotations

import errno
import os
import pwd
from pathlib import Path

_IN_PLACE = "a file is in the place of it or of a folder above it"
_STATES = {
    errno.EROFS: "its file system is read-only",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota of its user is used up",
    errno.EEXIST: _IN_PLACE,
    errno.ENOTDIR: _IN_PLACE,
    errno.EISDIR: "a folder is in its place",
    errno.ENOENT: "it does not exist and cannot be made",
}
_DENIED = frozenset({errno.EACCES, errno.EPERM})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_denied(error: OSError) -> bool:
    """Return whether this user may not do it."""
    return error.errno in _DENIED


def is_full(error: OSError) -> bool:
    """Return whether there is no room left."""
    return error.errno in _FULL


def state_of(error: OSError) -> str:
    """Return the state of the file or folder, for the middle of a sentence."""
    return _STATES.get(error.errno or 0) or error.strerror or str(error)


def name_of_user(uid: int) -> str:
    """Return a user's name, or the number of one without an account, as in containers."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def require_access(path: Path, mode: int) -> None:
    """Raise OSError unless this user has access; ``mode`` as for ``os.access``."""
    if os.access(path, mode, effective_ids=True):
        return
    is_read_only = os.statvfs(path).f_flag & os.ST_RDONLY
    raise OSError(errno.EROFS if is_read_only else errno.EACCES, "", path)
