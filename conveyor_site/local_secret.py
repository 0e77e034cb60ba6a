"""Files of the embedded default that nobody else may read: secrets, made once, and the database."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from conveyor_site.data_folder import as_configuration_error


def local_secret(path: Path, make: Callable[[], str], *, keep: bool = True) -> str:
    """Return the text of ``path``, made by ``make`` if the file is not there yet.

    Without ``keep`` no file is made, and a new text is only for this process.

    Two processes that start at once agree: the file is written beside and linked into place,
    and the first link wins. The file is readable for its owner only. Raises ImproperlyConfigured
    where it cannot be made or read.
    """
    if not keep and not os.access(path, os.R_OK):
        return make()
    with as_configuration_error(path):
        if not path.exists():
            _make(path, make)
        return path.read_text(encoding="ascii").strip()


def _make(path: Path, make: Callable[[], str]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    try:
        draft.write_text(make() + "\n", encoding="ascii")
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def new_credential_keys() -> str:
    """Return a fresh value for CONVEYOR_KEYS: one key of 256 bits under the id ``k1``."""
    return "k1:" + base64.urlsafe_b64encode(os.urandom(32)).decode("ascii")


def private_file(path: Path) -> Path:
    """Return the path, where there is a file from now on that its owner alone may read and write.

    The data folder may be one that others may enter; what SQLite puts beside its file has the
    file's permissions. A file of somebody else's, and what is no file, is left as it is. Raises
    ImproperlyConfigured for one that cannot be made.
    """
    with as_configuration_error(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=0o600)
    for each in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
        with suppress(FileNotFoundError, PermissionError):
            if each.is_file() and each.stat().st_mode & 0o077:
                each.chmod(0o600)
    return path
