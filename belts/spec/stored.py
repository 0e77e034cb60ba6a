"""Reading a belt file back from its stored document, which a newer version may have written.

A run must mean what its file says, so a document with anything that this version does not know is
refused: without it, jobs would run too early, or with too little.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from belts.spec.keys import BUILDS, ENDS, EVENT_TYPES, OUTPUT_TYPES, RETRY_REASONS, SHELLS
from belts.spec.names import quoted
from belts.spec.shapes import BeltFile, DownstreamSpec, InputSpec, JobSpec, TriggerSpec

_INPUTS = ("source", "job", "product")
_TRIGGERS = ("scm-event", "upstream-build", "schedule", "manual")


class UnknownConstructError(Exception):
    """A stored document has something that this version does not know; the text says what."""


def stored_file(document: Any) -> BeltFile:
    """Return the file that ``BeltFile.to_document`` wrote; raises UnknownConstructError."""
    try:
        file = BeltFile.from_document(document)
    except KeyError as error:
        raise UnknownConstructError(f"the key {quoted(str(error.args[0]))}") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise UnknownConstructError("a value of another shape") from error
    for unknown in _unknown(file):
        raise UnknownConstructError(unknown)
    return file


def _unknown(file: BeltFile) -> Iterator[str]:
    for trigger in file.triggers:
        yield from _unknown_of_trigger(trigger)
    for belt in file.belts:
        yield from _unknown_ends(belt.downstreams)
        for job in belt.jobs:
            yield from _unknown_of_job(job)


def _unknown_of_trigger(trigger: TriggerSpec) -> Iterator[str]:
    yield from _outside(_TRIGGERS, trigger.kind, "the trigger")
    yield from _outside(EVENT_TYPES, trigger.types, "the event")
    yield from _outside(ENDS, trigger.on, "the end of a belt run")
    yield from _unknown_build(trigger.build)


def _unknown_of_job(job: JobSpec) -> Iterator[str]:
    yield from _outside(SHELLS, job.shell, "the shell")
    yield from _outside(RETRY_REASONS, job.retry.on, "the reason for another attempt")
    yield from _outside(OUTPUT_TYPES, [each.type for each in job.outputs], "the type of output")
    yield from _unknown_ends(job.downstreams)
    for each in job.inputs:
        yield from _unknown_of_input(each)


def _unknown_of_input(entry: InputSpec) -> Iterator[str]:
    yield from _outside(_INPUTS, entry.kind, "the kind of input")
    yield from _unknown_build(entry.build)


def _unknown_build(build: str | int | None) -> Iterator[str]:
    if not isinstance(build, int | None):
        yield from _outside(BUILDS, build, "the build")


def _unknown_ends(downstreams: Collection[DownstreamSpec]) -> Iterator[str]:
    for each in downstreams:
        yield from _outside(ENDS, each.on, "the end of a belt run")


def _outside(known: Collection[str], given: str | Collection[str], what: str) -> Iterator[str]:
    for word in [given] if isinstance(given, str) else given:
        if word not in known:
            yield f"{what} {quoted(str(word))}"
