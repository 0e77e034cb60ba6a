"""Names of products, belts and jobs: one rule for the file, the admin and the API."""

from __future__ import annotations

import re

from django.core.validators import RegexValidator

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}"
NAME_MAX = 100
QUEUE_PATTERN = r"[a-z0-9][a-z0-9._-]{0,62}"
VARIABLE_PATTERN = r"[A-Za-z_][A-Za-z0-9_]{0,99}"
# As in belts.spec.names, which may not be imported here and imports nothing of Django; a test
# holds the two together.
RESERVED_NAMES = frozenset({"source"})
RESERVED_VARIABLES = (
    r"PATH|LD_.*|BASH_ENV|ENV|PYTHON.*|GIT_.*|IFS|CONVEYOR_.*|NODE_OPTIONS|PERL5.*|RUBYOPT"
    r"|PS4|SHELLOPTS|BASHOPTS|PROMPT_COMMAND|UID|EUID|PPID"
)

validate_name = RegexValidator(
    rf"\A{NAME_PATTERN}\Z",
    "Enter a name of letters, digits, '-' and '_' that starts with a letter or digit.",
)
validate_queue = RegexValidator(
    rf"\A{QUEUE_PATTERN}\Z",
    "Enter a queue of lower-case letters, digits, '.', '-' and '_'.",
)


def variable_of_credential(name: str) -> str:
    """Return the variable that carries the credential ``name`` where nothing else is set."""
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def variable_problem(variable: str) -> str | None:
    """Return why a credential may not be given in this variable, None if it may."""
    if not re.fullmatch(VARIABLE_PATTERN, variable):
        return (
            f"{variable} cannot name a variable: letters, digits and '_', not a digit first. "
            "Write another one under variable."
        )
    if re.fullmatch(RESERVED_VARIABLES, variable):
        return f"The variable {variable} is the platform's own. Write another one under variable."
    return None
