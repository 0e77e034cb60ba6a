"""Secrets of the embedded default: made once, kept in private files below the data folder."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path


def local_secret(path: Path, make: Callable[[], str]) -> str:
    """Return the text of ``path``, made by ``make`` if the file is not there yet.

    Two processes that start at once agree: the file is written beside and linked into place,
    and the first link wins. The file is readable for its owner only.
    """
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(make() + "\n", encoding="ascii")
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text(encoding="ascii").strip()


def new_credential_keys() -> str:
    """Return a fresh value for CONVEYOR_KEYS: one key of 256 bits under the id ``k1``."""
    return "k1:" + base64.urlsafe_b64encode(os.urandom(32)).decode("ascii")
