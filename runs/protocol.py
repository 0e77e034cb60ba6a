"""The protocol that a runner needs for a job: each construct has the first protocol with it.

A runner claims jobs up to its own protocol (``runners.protocol``). A construct that an older runner
would run wrongly has an entry here. A construct that an older runner may ignore, such as one more
variable of the environment, has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from belts.spec.references import job_references
from belts.spec.shapes import JobSpec

_FIRST = 1


class Construct(NamedTuple):
    """Something that a job may use, and the lowest protocol of a runner that does it right."""

    name: str
    protocol: int
    is_used: Callable[[JobSpec], bool]


def _takes_values(job: JobSpec) -> bool:
    return any(each.kind == "product" for each in job.inputs) or bool(job_references(job))


CONSTRUCTS = (
    # A value may taint the run after a runner has read the run. Runners of protocol 1 remember
    # whether it was tainted then, and would give its credentials to a job with a fork's value.
    Construct("values", 2, _takes_values),
)


def protocol_of(job: JobSpec, constructs: Iterable[Construct] = CONSTRUCTS) -> int:
    """Return the lowest protocol of a runner that understands the job."""
    return max((each.protocol for each in constructs if each.is_used(job)), default=_FIRST)
