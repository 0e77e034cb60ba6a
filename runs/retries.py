"""Whether a job is tried again after an attempt: pure rules."""

from __future__ import annotations

from dataclasses import dataclass

from belts.spec.shapes import RetrySpec
from runs.states import AttemptState, Reason

#: Maximum number of attempts of a job run that are replaced because they never started.
MAX_REPLACEMENTS = 20

_FAILURES = frozenset(
    {Reason.EXIT_STATUS, Reason.OUTPUT_MISSING, Reason.OUTPUT_INVALID, Reason.POST_RUN}
)
_KINDS = {
    Reason.TIMED_OUT: "timeout",
    Reason.RUNNER_LOST: "runner-lost",
    Reason.SETUP: "setup",
    Reason.INTERNAL: "setup",
}


@dataclass(frozen=True, slots=True)
class Retry:
    """A further attempt, to be claimed after ``delay_s`` seconds."""

    delay_s: float


def is_replaced(number: int, attempts_made: int) -> bool:
    """Return whether attempt ``number`` is replaced, as it never started.

    Of those before it, the ``attempts_made`` count, and the others were replaced.
    """
    return number - 1 - attempts_made < MAX_REPLACEMENTS


def kind_of(state: AttemptState, reason: Reason) -> str:
    """Return what ``retry: on`` calls an end, empty for an end that is never tried again."""
    if state == AttemptState.FAILED and reason in _FAILURES:
        return "failure"
    if state in (AttemptState.FAILED, AttemptState.ERRORED):
        return _KINDS.get(reason, "")
    return ""


def retry_after(
    rule: RetrySpec, *, kind: str, exit_code: int | None, attempts_made: int
) -> Retry | None:
    """Return the further attempt that the rule grants, None for none.

    ``attempts_made`` counts the attempts that count, with the one that has just ended.
    """
    if attempts_made > rule.max or kind not in rule.on:
        return None
    if kind == "failure" and rule.exit_codes and exit_code not in rule.exit_codes:
        return None
    return Retry(rule.delay_s * rule.backoff ** (attempts_made - 1))
