"""Messages about a database that cannot be used."""

from __future__ import annotations

from django.db import connection
from django.db.utils import InterfaceError, OperationalError

#: The code of PostgreSQL for a missing table; SQLite has no code for it.
_UNDEFINED_TABLE = "42P01"

_SERVER = (
    "The database cannot be used: {error}. Check that CONVEYOR_DATABASE_URL is correct and that "
    "its server runs. Run manage.py migrate to prepare a new database."
)
_FILE = "The database {path} cannot be used: {state}. {way_out}."
_PREPARE = (
    "If the site has another data folder, set CONVEYOR_DATA_DIR to it. Prepare a new database "
    "with: manage.py migrate"
)
_ACCESS = "Check that its folder exists, and that this user may write to both"
_DAMAGED = "Restore a backup, or move it to another folder and run manage.py migrate for a new one"
#: By the beginning of SQLite's name of the error (https://www.sqlite.org/rescode.html).
_STATES = {
    "SQLITE_FULL": ("the disk is full", "Free some space there and try again"),
    "SQLITE_READONLY": ("it cannot be written to", _ACCESS),
    "SQLITE_CANTOPEN": ("it cannot be opened", _ACCESS),
    "SQLITE_PERM": ("it may not be opened", _ACCESS),
    "SQLITE_NOTADB": ("it is not a SQLite database", _DAMAGED),
    "SQLITE_CORRUPT": ("it is damaged", _DAMAGED),
    "SQLITE_BUSY": ("another process keeps it locked", "Try again, or end that process"),
    "SQLITE_IOERR": (
        "its disk failed to read or write it",
        "Check whether the disk is full or broken",
    ),
}


def database_sentence(error: Exception) -> str | None:
    """Return a message about a database error; None for an error in Conveyor itself."""
    if connection.vendor == "sqlite":
        return _of_file(error)
    is_empty = getattr(error.__cause__, "sqlstate", "") == _UNDEFINED_TABLE
    if is_empty or isinstance(error, (OperationalError, InterfaceError)):
        return _SERVER.format(error=_first_line(error))
    return None


def _of_file(error: Exception) -> str | None:
    name = getattr(error.__cause__, "sqlite_errorname", "")
    known = [state for start, state in _STATES.items() if name.startswith(start)]
    if not known and not isinstance(error, (OperationalError, InterfaceError)):
        return None
    state, way_out = known[0] if known else (_first_line(error), _PREPARE)
    return _FILE.format(path=connection.settings_dict["NAME"], state=state, way_out=way_out)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".?")
