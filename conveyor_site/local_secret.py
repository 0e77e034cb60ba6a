"""Private files of the embedded default: secrets, which are generated once, and the database."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from conveyor_site.data_folder import as_configuration_error


def local_secret(path: Path, make: Callable[[], str], *, keep: bool = True) -> str:
    """Return the text of ``path``; write the file with ``make()`` if it does not exist.

    Without ``keep`` no file is written, and a new text is for this process only.

    Two processes that start together get the same text: each writes a draft and links it to the
    path, and the first link wins. Only the owner can read the file. Raises ImproperlyConfigured if
    it cannot be written or read.
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
    """Return the path after making a file there that only its owner may read and write.

    Other users may be able to enter the data folder. The files of SQLite beside the database have
    its permissions. Files of other users, and folders, are left unchanged. Raises
    ImproperlyConfigured if the file cannot be made.
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
