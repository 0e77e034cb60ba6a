"""The entry point of manage.py. It prints errors of the environment as one sentence."""

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
#: The exit code that shells use for a program that Ctrl-C ended.
INTERRUPTED = 130
_REPORTED = (ImproperlyConfigured, OSError, DatabaseError, InterfaceError, UnicodeEncodeError)


def run_command(arguments: Sequence[str]) -> int:
    """Run a management command; return its exit code.

    It ends with a sentence on stderr for an invalid setting, a folder that cannot be made, an
    argument that is not text, and a database that is unreachable or empty. ``--traceback`` shows
    the origin of the error.
    """
    if "--version" in arguments or arguments[1:2] == ["version"]:
        sys.stdout.write(f"Conveyor {VERSION} (Django {django.get_version()})\n")
        return 0
    if isinstance(sys.stdout, io.TextIOWrapper):
        # As on stderr: an argument may have bytes that are not text, and is printed nevertheless.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        execute_from_command_line(list(arguments))
    except _REPORTED as error:
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
    """Return the message, None for an error in Conveyor itself."""
    if isinstance(error, ImproperlyConfigured):
        return str(error)
    if isinstance(error, UnicodeEncodeError):
        return _no_text(error, arguments)
    return sentence_of(error) if isinstance(error, OSError) else database_sentence(error)


def _no_text(error: UnicodeEncodeError, arguments: Sequence[str]) -> str | None:
    """Return the message about an argument that cannot be encoded, None if it was none."""
    character = error.object[error.start]
    problem = storing_problem(character)
    typed = next((each for each in arguments if character in each), None)
    return f"{typed!r} cannot be used. {problem}" if problem and typed else None
