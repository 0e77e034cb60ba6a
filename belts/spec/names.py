"""Names in a belt file: their patterns, the reserved ones, and the nearest to a mistyped one."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Iterable
from functools import lru_cache

from products.git.logins import shown

NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"
VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
QUEUE = r"[a-z0-9][a-z0-9._-]*"

# Limits for the search of a similar name: characters of a name, and number of names.
_LONGEST_COMPARED = 40
_MOST_COMPARED = 50

# A job or product of this name would look like the input "source".
RESERVED_NAMES = frozenset({"source"})

# What decides which code runs, or what the platform itself sets. The last four are the shell's
# own: a value in PS4 is executed by "set -x", the others are read-only there.
RESERVED_VARIABLE = (
    r"PATH|LD_.*|BASH_ENV|ENV|PYTHON.*|GIT_.*|IFS|CONVEYOR_.*|NODE_OPTIONS|PERL5.*|RUBYOPT"
    r"|PS4|SHELLOPTS|BASHOPTS|PROMPT_COMMAND|UID|EUID|PPID"
)


def is_reserved_variable(name: str) -> bool:
    """Return whether neither a belt file nor an output may set the variable ``name``."""
    return re.fullmatch(RESERVED_VARIABLE, name) is not None


def variable_of_credential(name: str) -> str:
    """Return the variable that carries the credential ``name`` where nothing else is set."""
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def quoted(text: str, longest: int = 60) -> str:
    """Return ``text`` in double quotes, shortened, with control characters made visible.

    Logins of URLs are left out: messages are stored, and shown to everybody who sees the product.
    """
    text = shown(text)
    short = text if len(text) <= longest else text[: longest - 1] + "…"
    return visible(json.dumps(short, ensure_ascii=False))


def visible(text: str) -> str:
    """Return ``text`` with whatever a terminal might obey replaced by escapes."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the name of ``known`` that ``name`` was probably meant to be, if one is near.

    Files are hostile, and comparing takes the product of two lengths: long names are compared as
    a whole only, and among many names those of about the same length.
    """
    choices = sorted(set(known))
    folded = {choice.lower().replace("_", "-"): choice for choice in reversed(choices)}
    wanted = name.lower().replace("_", "-")
    if wanted in folded:
        return folded[wanted]
    if len(wanted) > _LONGEST_COMPARED:
        return None
    near = [choice for choice in folded if len(choice) <= _LONGEST_COMPARED]
    near.sort(key=lambda choice: abs(len(choice) - len(wanted)))
    found = _closest(wanted, tuple(near[:_MOST_COMPARED]))
    return folded[found] if found is not None else None


@lru_cache(maxsize=2048)
def _closest(wanted: str, choices: tuple[str, ...]) -> str | None:
    found = difflib.get_close_matches(wanted, choices, n=1, cutoff=0.6)
    return found[0] if found else None


def did_you_mean(name: str, known: Collection[str], *, what: str) -> str:
    """Return the hint for an unknown ``name``: the nearest, or all where they are few.

    ``what`` is the plural of the thing, such as "belts of ami".
    """
    near = nearest(name, known)
    if near is not None:
        return f"Did you mean {quoted(near)}?"
    if not known:
        return f"There are no {what}."
    return f"The {what} are {listed(known)}."


def listed(names: Collection[str], most: int = 12) -> str:
    """Return the names as text, sorted, cut after ``most``."""
    shown = ", ".join(sorted(names)[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
