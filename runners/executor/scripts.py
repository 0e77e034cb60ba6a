"""The programs of a job's shell: the author's text, and what captures outputs around it.

The author's text is a file of its own, so that line numbers in messages are the author's. What is
around it is an argument of the shell: it has no line of the author's and nothing that changes.
Outputs are read by the job's own shell when it ends, each into a file of its own; nothing is
parsed out of the log, and no value enters the text of a script. Behind each value is an end mark
that no value of a shell can hold: what lacks it was cut, by a full disk or whatever else.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import NamedTuple

from runners.executor.shapes import OutputWord, Shell

PROGRAMS: dict[Shell, str] = {"bash": "bash", "sh": "sh", "python": "python3"}
OPTIONS = {"bash": ("-e", "-o", "pipefail"), "sh": ("-e",)}
_VARIABLE = re.compile(r'"?\$(?:\{(?P<braced>[A-Za-z_]\w*)\}|(?P<plain>[A-Za-z_]\w*))"?', re.ASCII)
# With none of these the shell would change nothing in the word.
_ACTIVE = re.compile(r"[$`\\'\"]|^~")
_QUOTES = re.compile(r"['\"]")

#: Ends each captured value.
END_MARK = b"\0"
#: Follow the value where the variable is an array: of which the value is the first element, or
#: which has no first element.
FIRST_OF_ARRAY, NO_FIRST = b"\0", b"\0\0"
#: The status of a shell whose commands ended with 0 and which could not write a value then.
#: Reference: EX_IOERR of sysexits.h.
NOT_STORED = 74

# $0 is the file of the author's text.
_PLAIN = '. "$0"'
_CAPTURING = """\
__conveyor_capture() {{
  __conveyor_status=$?
  {{ set +exv; }} 2>/dev/null
  if [ -z "${{__conveyor_captured-}}" ]; then
    __conveyor_captured=1
    umask 077
    if [ -r {capture} ]; then . {capture}; else (exit {not_stored}); fi
    if [ $? = {not_stored} ] && [ "$__conveyor_status" = 0 ]; then
      exit {not_stored}
    fi
  fi
  return "$__conveyor_status"
}}
trap __conveyor_capture EXIT
. "$0"
__conveyor_capture"""
# After the first that fails nothing more is written: shells may keep what they could not write,
# and put it before what they write next.
_SAVE = "command printf '%s{end}' \"{value}\" >| {file}"
# In bash only. Compared are the indices, which a plain variable has too: 0. An array of the
# element 0 alone is that element.
_SAVE_VARIABLE = """\
if [ "${{{name}+set}}" ]; then
  if [ "${{!{name}[*]}}" != 0 ]; then {first}; else {save}; fi
elif [ "${{{name}[@]+set}}" ]; then {none}
{otherwise}fi"""


class Script(NamedTuple):
    """A file to write beside the others and what it holds."""

    name: str
    text: str


class Program(NamedTuple):
    """What a shell is to run: its arguments before the path of the first of the files."""

    arguments: tuple[str, ...]
    files: tuple[Script, ...]


def constant(output: OutputWord) -> str | None:
    """Return the value of a word that no shell would change, else None."""
    if output.word is None or _ACTIVE.search(output.word):
        return None
    return output.word


def main_program(
    shell: Shell, script: str, outputs: Sequence[OutputWord], *, folder: str
) -> Program:
    """Return the program of the main stage.

    In ``folder`` its files will lie, and there the shell writes captured values, each into the
    ``captured_file`` of its output.
    """
    captured = [each for each in outputs if shell != "python" and constant(each) is None]
    if not captured:
        return _plain(shell, script, "commands")
    capture = "\n".join(_capture(each, folder, shell) for each in captured)
    text = _CAPTURING.format(capture=shlex.quote(f"{folder}/capture"), not_stored=NOT_STORED)
    return Program(
        (*OPTIONS[shell], "-c", text),
        (Script("commands", f"{script}\n"), Script("capture", f"{capture}\n")),
    )


def post_run_program(shell: Shell, script: str) -> Program:
    """Return the program of post-run."""
    return _plain(shell, script, "post-run")


def captured_file(output: str) -> str:
    """Return the name of the file for an output's value; no script has such a name."""
    return f"output-{output}"


def _plain(shell: Shell, script: str, name: str) -> Program:
    if shell == "python":
        return Program((), (Script(name, script),))
    return Program((*OPTIONS[shell], "-c", _PLAIN), (Script(name, f"{script}\n"),))


def _capture(output: OutputWord, folder: str, shell: Shell) -> str:
    file = shlex.quote(f"{folder}/{captured_file(output.name)}")
    variable = output.name if output.word is None else _only_variable(output.word)
    if variable is None:
        return _capture_word(str(output.word), file)

    def saved(end: str) -> str:
        save = _SAVE.format(value=f"${{{variable}-}}", file=file, end=end)
        return f"{save} || return {NOT_STORED}"

    save = saved("\\0")
    if shell == "bash":
        otherwise = "" if output.word is None else f"else {save}\n"
        first, none = saved("\\0\\0"), saved("\\0\\0\\0")
        return _SAVE_VARIABLE.format(
            name=variable, first=first, save=save, none=none, otherwise=otherwise
        )
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
    save = _SAVE.format(value="$__conveyor_value", file=file, end="\\0")
    return (
        f"(__conveyor_value={quoted} || exit 0; {save} || exit {NOT_STORED})\n"
        f"[ $? != {NOT_STORED} ] || return {NOT_STORED}"
    )
