"""The command line's edge: what no command can be blamed for is told as a sentence."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db.utils import DatabaseError, InterfaceError

from conveyor_site.data_folder import sentence_of
from products.database_trouble import database_sentence
from products.storable import storing_problem
from runners.protocol import VERSION

COULD_NOT = 1
#: As shells tell of a program that Ctrl-C has ended.
INTERRUPTED = 130
_TOLD = (ImproperlyConfigured, OSError, DatabaseError, InterfaceError, UnicodeEncodeError)


def run_command(arguments: Sequence[str]) -> int:
    """Run a management command; return its exit code.

    A setting that cannot be used, a folder that cannot be made, an argument that is no text and a
    database that is away or empty end it with a sentence on stderr. ``--traceback`` shows where
    that came from.
    """
    if "--version" in arguments or arguments[1:2] == ["version"]:
        sys.stdout.write(f"Conveyor {VERSION} (Django {django.get_version()})\n")
        return 0
    if isinstance(sys.stdout, io.TextIOWrapper):
        # As stderr has it: what was typed may be bytes that are no text, and is told all the same.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        execute_from_command_line(list(arguments))
    except _TOLD as error:
        sentence = _sentence(error, arguments)
        if sentence is None or "--traceback" in arguments:
            raise
        sys.stderr.write(f"{sentence}\n")
        return COULD_NOT
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        return INTERRUPTED
    return 0


def _sentence(error: Exception, arguments: Sequence[str]) -> str | None:
    """Return what to tell, None for a mistake of ours."""
    if isinstance(error, ImproperlyConfigured):
        return str(error)
    if isinstance(error, UnicodeEncodeError):
        return _no_text(error, arguments)
    return sentence_of(error) if isinstance(error, OSError) else database_sentence(error)


def _no_text(error: UnicodeEncodeError, arguments: Sequence[str]) -> str | None:
    """Return what to tell of the argument that could not be encoded, None if it was none."""
    character = error.object[error.start]
    problem = storing_problem(character)
    typed = next((each for each in arguments if character in each), None)
    return f"{typed!r} cannot be used. {problem}" if problem and typed else None
