"""References to outputs: ``${job.OUTPUT}`` to ``${product.belt.job.OUTPUT}``.

In scripts a reference becomes a variable and its value travels in the environment: no value ever
enters the text that a shell reads. Elsewhere (``env``) values are put in as plain data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from belts.spec.names import NAME, VARIABLE
from belts.spec.shapes import JobSpec
from belts.spec.shell_scan import ShellScan

PATTERN = re.compile(rf"\$\{{({NAME}(?:\.{NAME}){{0,2}})\.({VARIABLE})\}}", re.ASCII)
_IN_DATA = re.compile(rf"(?<!\\)(\\*){PATTERN.pattern}", re.ASCII)

# What other systems write for a value; no shell reads it.
FOREIGN = re.compile(r"\$\{\{(?P<inside>[^{}\n]{0,200})\}\}?")

SCRIPTS = ("pre_run", "commands", "post_run")


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """An output named by one to three names; which it is, ``belts.spec.resolve`` tells."""

    parts: tuple[str, ...]
    output: str

    def __str__(self) -> str:
        return ".".join((*self.parts, self.output))

    @property
    def text(self) -> str:
        """Return what the file says, such as ``${ami.build.AMI_ID}``."""
        return f"${{{self}}}"


def reference_of(match: re.Match[str]) -> Reference:
    """Return the reference that a match of ``PATTERN`` found."""
    return Reference(tuple(match.group(1).split(".")), match.group(2))


def parse_reference(text: str) -> Reference | None:
    """Return the reference that ``text`` is, with its ``${`` and ``}``; None for anything else."""
    match = PATTERN.fullmatch(text)
    return reference_of(match) if match else None


def find_references(text: str) -> tuple[Reference, ...]:
    """Return the references in plain data, in order, each once; ``\\${a.B}`` is none."""
    matches = _IN_DATA.finditer(text)
    found = (_from_data(match) for match in matches if not len(match.group(1)) % 2)
    return tuple(dict.fromkeys(found))


def substitute(text: str, values: Mapping[Reference, str]) -> str:
    """Return plain data with each reference replaced by its value.

    ``\\${a.B}`` becomes ``${a.B}``. Values are not searched for references. Raises KeyError for a
    reference that has no value.
    """

    def value(match: re.Match[str]) -> str:
        backslashes, whole = match.group(1), match.group(0)
        if len(backslashes) % 2:
            return whole[1:]
        return backslashes + values[_from_data(match)]

    return _IN_DATA.sub(value, text)


def _from_data(match: re.Match[str]) -> Reference:
    return Reference(tuple(match.group(2).split(".")), match.group(3))


class MisplacedReferenceError(ValueError):
    """A script has a reference where its shell would not expand a variable."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A reference in a script, from ``start`` to ``end``.

    ``placement`` is live, comment, single-quoted, quoted-here-document, in-arithmetic or
    not-in-shell.
    """

    reference: Reference
    start: int
    end: int
    placement: str


def scan_script(script: str, shell: str) -> tuple[Occurrence, ...]:
    """Return every reference of a script, in order, with where it stands.

    Escaped ones (``\\${a.B}``) are left out: they are the shell's.
    """
    if PATTERN.search(script) is None:
        return ()
    if shell == "python":
        found = [match for match in PATTERN.finditer(script) if not is_escaped(script, match)]
        return tuple(
            Occurrence(reference_of(match), *match.span(), "not-in-shell") for match in found
        )
    scan = ShellScan(script, shell, PATTERN).run()
    return tuple(_occurrence(script, *found) for found in scan.found)


def foreign_expressions(script: str, shell: str) -> Iterator[re.Match[str]]:
    """Yield what stands as ``${{ ... }}`` where a shell would fail to expand it."""
    if shell == "python" or FOREIGN.search(script) is None:
        return
    for start, end, placement in ShellScan(script, shell, FOREIGN).run().found:
        match = FOREIGN.fullmatch(script, start, end)
        if match is not None and placement in ("live", "in-arithmetic"):
            yield match


def _occurrence(script: str, start: int, end: int, placement: str) -> Occurrence:
    match = PATTERN.fullmatch(script, start, end)
    if match is None:
        raise ValueError(f"No reference stands at {start} in the script.")
    return Occurrence(reference_of(match), start, end, placement)


def is_escaped(text: str, match: re.Match[str]) -> bool:
    """Return whether an odd number of backslashes stands before the match."""
    before = text[: match.start()]
    return bool((len(before) - len(before.rstrip("\\"))) % 2)


def rewrite_script(script: str, shell: str, variable_for: Callable[[Reference], str]) -> str:
    """Return the script with each reference as ``${VARIABLE}``; comments stay as they are.

    Raises MisplacedReferenceError where the shell would not expand it; a checked file has none.
    """
    pieces: list[str] = []
    done = 0
    for each in scan_script(script, shell):
        if each.placement == "comment":
            continue
        if each.placement != "live":
            raise MisplacedReferenceError(f"{each.reference.text} is {each.placement}.")
        pieces += (script[done : each.start], f"${{{variable_for(each.reference)}}}")
        done = each.end
    return "".join((*pieces, script[done:]))


def job_references(job: JobSpec) -> dict[str, Reference]:
    """Return the references of a job's ``env`` and scripts by variable, ``CONVEYOR_REF_<n>``.

    The order is that of the sorted ``env``, then ``pre-run``, ``commands`` and ``post-run``.
    """
    found: dict[Reference, None] = {}
    for name in sorted(job.env):
        found.update(dict.fromkeys(find_references(job.env[name])))
    for field in SCRIPTS:
        occurrences = scan_script(getattr(job, field), job.shell)
        found.update(dict.fromkeys(each.reference for each in occurrences if _counts(each)))
    return {f"CONVEYOR_REF_{number}": each for number, each in enumerate(found, start=1)}


def _counts(occurrence: Occurrence) -> bool:
    return occurrence.placement != "comment"


def rewritten(job: JobSpec) -> tuple[str, str, str]:
    """Return ``pre_run``, ``commands`` and ``post_run`` with variables for references.

    Raises MisplacedReferenceError as ``rewrite_script`` does.
    """
    variables = {reference: name for name, reference in job_references(job).items()}
    pre_run, commands, post_run = (
        rewrite_script(getattr(job, field), job.shell, variables.__getitem__) for field in SCRIPTS
    )
    return pre_run, commands, post_run
