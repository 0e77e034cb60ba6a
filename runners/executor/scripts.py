"""The scripts that a job's shell runs: the author's text, and what captures outputs around it.

The author's text is a file of its own, so that line numbers in messages are the author's.
Outputs are read by the job's own shell when it ends, each into a file of its own; nothing is
parsed out of the log, and no value enters the text of a script.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import NamedTuple

from runners.executor.shapes import OutputWord, Shell

PROGRAMS: dict[Shell, str] = {"bash": "bash", "sh": "sh", "python": "python3"}
OPTIONS = {"bash": "set -eo pipefail", "sh": "set -e"}
_VARIABLE = re.compile(r'"?\$(?:\{(?P<braced>[A-Za-z_]\w*)\}|(?P<plain>[A-Za-z_]\w*))"?', re.ASCII)
# With none of these the shell would change nothing in the word.
_ACTIVE = re.compile(r"[$`\\'\"]|^~")
_QUOTES = re.compile(r"['\"]")

_MAIN = """\
{options}
__conveyor_capture() {{
  __conveyor_status=$?
  {{ set +exv; }} 2>/dev/null
  if [ -z "${{__conveyor_captured-}}" ]; then
    __conveyor_captured=1
    umask 077
    . {capture}
  fi
  return "$__conveyor_status"
}}
trap __conveyor_capture EXIT
. {commands}
__conveyor_capture
"""
_PLAIN = """\
{options}
. {commands}
"""
_SAVE = 'command printf %s "{value}" >| {file}'


class Script(NamedTuple):
    """A file to write beside the others and what it holds."""

    name: str
    text: str


def constant(output: OutputWord) -> str | None:
    """Return the value of a word that no shell would change, else None."""
    if output.word is None or _ACTIVE.search(output.word):
        return None
    return output.word


def main_scripts(
    shell: Shell, script: str, outputs: Sequence[OutputWord], *, folder: str, output_folder: str
) -> tuple[Script, ...]:
    """Return the files of the main stage; the first is the one to run.

    ``folder`` is where they will lie, ``output_folder`` where the shell writes captured values,
    each under the name of its output.
    """
    if shell == "python":
        return (Script("main", script),)
    captured = [each for each in outputs if constant(each) is None]
    if not captured:
        return _plain_scripts(shell, script, folder, names=("main", "commands"))
    capture = "\n".join(_capture(each, output_folder) for each in captured)
    main = _MAIN.format(
        options=OPTIONS[shell],
        capture=shlex.quote(f"{folder}/capture"),
        commands=shlex.quote(f"{folder}/commands"),
    )
    return (
        Script("main", main),
        Script("commands", f"{script}\n"),
        Script("capture", f"{capture}\n"),
    )


def post_run_scripts(shell: Shell, script: str, *, folder: str) -> tuple[Script, ...]:
    """Return the files of post-run; the first is the one to run."""
    if shell == "python":
        return (Script("post-main", script),)
    return _plain_scripts(shell, script, folder, names=("post-main", "post-run"))


def _plain_scripts(
    shell: Shell, script: str, folder: str, *, names: tuple[str, str]
) -> tuple[Script, ...]:
    commands = shlex.quote(f"{folder}/{names[1]}")
    text = _PLAIN.format(options=OPTIONS[shell], commands=commands)
    return (Script(names[0], text), Script(names[1], f"{script}\n"))


def _capture(output: OutputWord, folder: str) -> str:
    file = shlex.quote(f"{folder}/{output.name}")
    variable = output.name if output.word is None else _only_variable(output.word)
    if variable is None:
        return _capture_word(str(output.word), file)
    save = _SAVE.format(value=f"${{{variable}-}}", file=file)
    if output.word is None:
        return f'if [ "${{{variable}+set}}" ]; then {save}; fi'
    return save


def _only_variable(word: str) -> str | None:
    match = _VARIABLE.fullmatch(word)
    return (match["braced"] or match["plain"]) if match else None


def _capture_word(word: str, file: str) -> str:
    """Return a subshell that expands a word: what fails or exits in it leaves the output out.

    A word without quotes may hold blanks; the quotes around it then make it one.
    """
    quoted = word if _QUOTES.search(word) else f'"{word}"'
    save = _SAVE.format(value="$__conveyor_value", file=file)
    return f"(__conveyor_value={quoted} && {save}) || :"
