"""The data folder and the database file in it, with a message for each failure."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from products.disk_trouble import is_denied, is_full, name_of_user, require_access, state_of

_HEADER = b"SQLite format 3\0"
_FREE = "Free some space there and try again."
_ANOTHER = "Correct this, or set {} to a path where this user may write."

DATA_DIR = "CONVEYOR_DATA_DIR"


def only_checks(arguments: Sequence[str]) -> bool:
    """Return whether the command line only checks belt files, so that no file may be made."""
    options = [each for each in arguments[2:] if len(each) > 2 and "--check".startswith(each)]
    return arguments[1:2] == ["import_conveyor_yml"] and bool(options)


def data_folder(path: Path) -> Path:
    """Return the folder; make it if necessary. Raises ImproperlyConfigured."""
    with as_configuration_error(path):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        require_access(path, os.R_OK | os.X_OK)
    return path


def database_file(path: Path, *, setting: str = DATA_DIR) -> Path:
    """Return the path; raise ImproperlyConfigured if it exists and cannot be a database.

    ``setting`` is the setting that names the path. SQLite makes more files beside the database.
    """
    with as_configuration_error(path, setting=setting):
        if path.parent.is_dir():
            require_access(path.parent, os.W_OK | os.X_OK)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "", path)
        if path.exists():
            require_access(path, os.R_OK | os.W_OK)
            _require_header(path, setting)
    return path


@contextmanager
def as_configuration_error(path: Path, *, setting: str = DATA_DIR) -> Iterator[None]:
    """Turn OSError into ImproperlyConfigured with the path, its state and a way out."""
    try:
        yield
    except OSError as error:
        sentence = sentence_of(error, path, way_out=_ANOTHER.format(setting))
        raise ImproperlyConfigured(sentence) from error


def sentence_of(error: OSError, path: Path | None = None, *, way_out: str = "") -> str:
    """Return a message about an error of the system: the path, its state and a way out."""
    place = error.filename2 or error.filename or path
    state = _state_of(error).rstrip(".")
    if place is None:
        return f"{state[:1].upper()}{state[1:]}."
    shown = place if isinstance(place, int) else os.fsdecode(place)
    way_out = _FREE if is_full(error) else way_out
    return f"{shown} cannot be used: {state}. {way_out}".rstrip()


def _state_of(error: OSError) -> str:
    if is_denied(error):
        return f"the user {name_of_user(os.geteuid())} may not read and write it"
    return state_of(error)


def _require_header(path: Path, setting: str) -> None:
    with path.open("rb") as file:
        header = file.read(len(_HEADER))
    if header not in (b"", _HEADER):
        raise ImproperlyConfigured(
            f"{path} cannot be used: it is not a SQLite database. Move it to another folder and "
            f"run manage.py migrate, which makes a new one. Or set {setting} to another path."
        )
