"""What a job hands on: captured values and the file of $CONVEYOR_OUTPUT, checked."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from runners.executor.masking import Masker
from runners.executor.room import LEAVE_ALONE, way_out_of
from runners.executor.scripts import END_MARK, FIRST_OF_ARRAY, NO_FIRST, captured_file, constant
from runners.executor.shapes import JobAssignment, Limits, OutputWord, Shell
from runners.executor.workspace import NotReadableError, NotWholeError, Workspace

FILE = ".conveyor-output"
# Beside the values the file holds names, delimiters and what the job wrote first.
_FILE_ROOM = 4


#: So many of the things that are wrong are told; the others are counted.
_TOLD = 10


class OutputError(Exception):
    """An output is missing or may not be handed on; ``reason`` is the platform's word for it."""

    def __init__(self, reason: str, fact: str, advice: str = "") -> None:
        super().__init__(f"{fact} {advice}".rstrip())
        self.reason = reason
        self.fact = fact
        self.advice = advice


class Collected(NamedTuple):
    """The outputs that may be handed on, and what is wrong with the others.

    ``lost`` says that some had a value which could not be stored.
    """

    values: Mapping[str, str]
    problem: OutputError | None
    notes: tuple[str, ...] = ()
    lost: bool = False


def collect(
    assignment: JobAssignment, workspace: Workspace, masker: Masker, *, stored: bool = True
) -> Collected:
    """Read the outputs of a job whose tree is dead; what is written to the file wins.

    Constants are handed on as they stand. ``stored`` is False if the shell told that it could not
    write a value. Never raises for what the job did.
    """
    limits = assignment.limits
    notes: list[str] = []
    problems: list[OutputError] = []
    lost: list[str] = []
    values: dict[str, str] = {}
    written, problem = _read_file(workspace, limits)
    if problem:
        problems.append(problem)
    for output in assignment.outputs:
        try:
            raw = _find(output, written, workspace, assignment, stored=stored, notes=notes)
            values[output.name] = _checked(output, raw, limits, masker)
        except OutputError as error:
            problems.append(error)
            continue
        except NotWholeError:
            lost.append(output.name)
            continue
        if not values[output.name] and output.word is not None:
            notes.append(f"output {output.name} is empty: its word is {output.word}")
    notes.extend(_undeclared(assignment.outputs, written))
    if too_many := _total_problem(values, limits):
        problems.append(too_many)
    if lost:
        problems.insert(0, _not_stored(lost, workspace.shortage() or workspace.damage()))
    return Collected(values, _together(problems), tuple(notes), lost=bool(lost))


def _together(problems: Sequence[OutputError]) -> OutputError | None:
    """Return all problems as one, with the reason and the advice of the first."""
    if len(problems) < 2:
        return problems[0] if problems else None
    facts = [each.fact for each in problems[:_TOLD]]
    if len(problems) > _TOLD:
        facts.append(f"{len(problems) - _TOLD} more cannot be handed on.")
    advice = next((each.advice for each in problems if each.advice), "")
    return OutputError(problems[0].reason, " ".join(facts), advice)


def _find(
    output: OutputWord,
    written: Mapping[str, bytes],
    workspace: Workspace,
    assignment: JobAssignment,
    *,
    stored: bool,
    notes: list[str],
) -> bytes:
    """Return the value of an output; raise NotWholeError for one that could not be stored."""
    if output.name in written:
        return written[output.name]
    value = constant(output)
    if value is not None:
        return value.encode()
    try:
        limit = assignment.limits.output_bytes
        captured = workspace.read(captured_file(output.name), limit_bytes=limit, end=END_MARK)
    except NotReadableError as error:
        raise OutputError(
            "output-invalid", f"Output {output.name} cannot be handed on: {error}."
        ) from error
    if captured is None and not stored:
        raise NotWholeError(captured_file(output.name))
    if captured is None and (damage := workspace.damage()):
        raise OutputError(
            "output-missing", f"Output {output.name} could not be read: {damage}.", LEAVE_ALONE
        )
    if captured is None:
        raise _missing(output, assignment.shell)
    return _first(output, captured, notes)


def _first(output: OutputWord, raw: bytes, notes: list[str]) -> bytes:
    """Return the value, of an array its first element with a note; OutputError without one."""
    if not raw.endswith(FIRST_OF_ARRAY):
        return raw
    if raw.endswith(NO_FIRST):
        raise OutputError(
            "output-invalid",
            f"Output {output.name} cannot be handed on: its variable is an array without an "
            "element 0.",
            f'Hand on a text, as in {output.name}_TEXT="${{{output.name}[*]}}".',
        )
    name = output.name
    notes.append(
        f"{name} is an array; only its first element is handed on. "
        f'To hand on all of them, declare {name}_TEXT and write {name}_TEXT="${{{name}[*]}}"'
    )
    return raw.removesuffix(FIRST_OF_ARRAY)


def _not_stored(names: Sequence[str], shortage: str) -> OutputError:
    what = "value of output" if len(names) == 1 else "values of the outputs"
    shown = ", ".join((*names[:_TOLD], "...") if len(names) > _TOLD else names)
    because = shortage or "writing failed, see the log"
    fact = f"The {what} {shown} could not be stored: {because}."
    return OutputError("output-missing", fact, way_out_of(shortage))


def _missing(output: OutputWord, shell: Shell) -> OutputError:
    name = output.name
    if shell == "python":
        what = "the program wrote no value for it"
    elif output.word is None:
        what = f"the shell's variable {name} is not set at the end of the commands"
    else:
        what = f"its word {output.word} could not be expanded at the end of the commands"
    return OutputError(
        "output-missing",
        f"Output {name} is declared but missing: {what}.",
        "A program that is not the shell, and a script that uses `exec` or replaces the EXIT trap, "
        f'hands it on with `echo "{name}=value" >> "$CONVEYOR_OUTPUT"`.',
    )


def _checked(output: OutputWord, raw: bytes, limits: Limits, masker: Masker) -> str:
    def refuse(why: str) -> OutputError:
        return OutputError("output-invalid", f"Output {output.name} cannot be handed on: {why}.")

    if len(raw) > limits.output_bytes:
        raise refuse(f"its {len(raw)} bytes are more than {limits.output_bytes}")
    if b"\0" in raw:
        raise refuse("it holds a NUL byte")
    if masker.reveals(raw):
        raise refuse("it holds the value of a credential, and outputs are stored and shown")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise refuse(f"it is not UTF-8 at byte {error.start}") from error


def _total_problem(values: Mapping[str, str], limits: Limits) -> OutputError | None:
    if len(values) > limits.outputs:
        return OutputError(
            "output-invalid", f"The job hands on {len(values)} outputs, more than {limits.outputs}."
        )
    total = sum(len(value.encode()) for value in values.values())
    if total > limits.outputs_bytes:
        return OutputError(
            "output-invalid",
            f"The outputs together have {total} bytes, more than {limits.outputs_bytes}.",
        )
    return None


def _undeclared(outputs: Iterable[OutputWord], written: Mapping[str, bytes]) -> list[str]:
    declared = {output.name for output in outputs}
    return [
        f"{name} in $CONVEYOR_OUTPUT is ignored: the job declares no output of that name"
        for name in list(written)[:10]
        if name not in declared
    ]


# The file of $CONVEYOR_OUTPUT


def _read_file(workspace: Workspace, limits: Limits) -> tuple[dict[str, bytes], OutputError | None]:
    limit = limits.outputs_bytes * _FILE_ROOM
    try:
        content = workspace.read(FILE, limit_bytes=limit)
    except NotReadableError as error:
        message = f"The file of $CONVEYOR_OUTPUT cannot be read: {error}."
        return {}, OutputError("output-invalid", message)
    values, problem = parse_file(content or b"")
    shortage = workspace.shortage() if problem else ""
    if problem and shortage:
        fact = f"{problem.fact.removesuffix('.')}; and there is {shortage}."
        problem = OutputError(problem.reason, fact, way_out_of(shortage))
    return values, problem


def parse_file(content: bytes) -> tuple[dict[str, bytes], OutputError | None]:
    r"""Return {name: value} of a file of outputs, and the first malformed line as a problem.

    A line is ``NAME=value``, or ``NAME<<WORD`` followed by lines up to one that is WORD. Of
    several values of one name the last holds. Only ``\n`` ends a line, and what it does not end
    may be a part of one.
    """
    *lines, rest = content.split(b"\n")
    values, problem = _parse_lines(lines)
    cut = "does not end with a newline, so that it may have been cut off"
    return values, _malformed(len(lines) + 1, rest, cut) if rest else problem


def _parse_lines(lines: list[bytes]) -> tuple[dict[str, bytes], OutputError | None]:
    values: dict[str, bytes] = {}
    index = 0
    while index < len(lines):
        line = lines[index]
        index += 1
        if not line:
            continue
        name, kind, rest = _split(line)
        if kind == b"=":
            values[name] = rest
            continue
        end = _find_end(lines, index, rest) if kind == b"<<" and rest else None
        if end is None:
            why = "has no end line" if kind == b"<<" else "is neither NAME=value nor NAME<<WORD"
            return values, _malformed(index, line, why)
        values[name] = b"\n".join(lines[index:end])
        index = end + 1
    return values, None


def _split(line: bytes) -> tuple[str, bytes, bytes]:
    """Return name, ``=`` or ``<<`` and the rest; the kind is empty when there is no such name."""
    match = re.match(rb"([A-Za-z_][A-Za-z0-9_]*)(=|<<)", line)
    if match is None:
        return "", b"", line
    return match[1].decode(), match[2], line[match.end() :]


def _find_end(lines: list[bytes], index: int, word: bytes) -> int | None:
    try:
        return lines.index(word, index)
    except ValueError:
        return None


def _malformed(number: int, line: bytes, why: str) -> OutputError:
    if b"\0" in line or line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        why = "is UTF-16 or binary. Write the file as UTF-8"
    elif line.startswith(codecs.BOM_UTF8):
        why = "begins with a byte order mark. Write the file as UTF-8 without it"
    shown = line[:60].decode(errors="replace")
    return OutputError("output-invalid", f"Line {number} of $CONVEYOR_OUTPUT, {shown!r}, {why}.")
