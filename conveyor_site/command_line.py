"""The command line's edge: what no command can be blamed for is told as a sentence."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db.utils import DatabaseError, InterfaceError, OperationalError

from runners.protocol import VERSION

COULD_NOT = 1
#: As shells tell of a program that Ctrl-C has ended.
INTERRUPTED = 130

#: What PostgreSQL calls a table that is not there; SQLite has no word of its own for it.
_UNDEFINED_TABLE = "42P01"

_DATABASE = (
    "The database cannot be used: {error}. See that CONVEYOR_DATABASE_URL is right and its server "
    "runs; manage.py migrate prepares a new database."
)


def run_command(arguments: Sequence[str]) -> int:
    """Run a management command; return its exit code.

    A setting that cannot be used, a folder that cannot be made and a database that is away or
    empty end it with a sentence on stderr. ``--traceback`` shows where that came from.
    """
    if "--version" in arguments or arguments[1:2] == ["version"]:
        sys.stdout.write(f"Conveyor {VERSION} (Django {django.get_version()})\n")
        return 0
    try:
        execute_from_command_line(list(arguments))
    except (ImproperlyConfigured, OSError, DatabaseError, InterfaceError) as error:
        sentence = _sentence(error)
        if sentence is None or "--traceback" in arguments:
            raise
        sys.stderr.write(f"{sentence}\n")
        return COULD_NOT
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        return INTERRUPTED
    return 0


def _sentence(error: Exception) -> str | None:
    """Return what to tell, None for a mistake of ours."""
    if isinstance(error, (ImproperlyConfigured, OSError)):
        return str(error)
    is_empty = getattr(error.__cause__, "sqlstate", "") == _UNDEFINED_TABLE
    if is_empty or isinstance(error, (OperationalError, InterfaceError)):
        return _DATABASE.format(error=_first_line(error))
    return None


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".?")
