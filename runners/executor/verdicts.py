"""From the ends of stages to the end of the attempt: pure rules."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from runners.executor.outputs import Collected
from runners.executor.scripts import NOT_STORED
from runners.executor.shapes import JobAssignment, Outcome

# Reference: Exit Status in the manual of bash; 128 + n is signal n.
_MEANINGS = {
    126: "a command was found and could not be executed. Check its permissions and its first line.",
    127: "a command was not found. Install it on the runner, or use another "
    "queue; the log names it.",
    137: "a program was killed (SIGKILL), often because memory ran out.",
    139: "a program used memory that is not its own (SIGSEGV).",
    141: "a program wrote into a pipe that nobody read (SIGPIPE). With `set -o "
    "pipefail` this ends the job, as in `program | head -1`; let the last program read all of it.",
    153: "a program wrote a file larger than its limit (SIGXFSZ, `ulimit -f`).",
}


class StageEnd(NamedTuple):
    """How a stage ended, its whole tree being dead.

    ``reason`` is exited, timed-out, cannot-start, silence, zygote-lost, supervisor-lost, or what
    the slot ordered: cancelled, stopped, fenced. ``message`` says who ordered it, why it could not
    start, or how many seconds of silence there had been.
    """

    code: int | None
    signal: int | None
    reason: str
    message: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether it ended by itself with exit status 0."""
        return self.reason == "exited" and self.code == 0

    @property
    def exit_code(self) -> int | None:
        """The exit status as shells give it, 128 + n for signal n; None if it was made to end."""
        if self.reason != "exited":
            return None
        return self.code if self.signal is None else 128 + self.signal


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of an attempt as far as it is known.

    ``status`` is what post-run sees in $CONVEYOR_STATUS; None means that post-run may not run.
    """

    outcome: Outcome
    reason: str
    message: str
    exit_code: int | None = None
    status: str | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)


FENCED = Verdict("fenced", "runner-lost", "The attempt is no longer this runner's.")


def judge_interruption(end: StageEnd, timing_s: float) -> Verdict | None:
    """Return the verdict on a stage that the platform ended, else None.

    ``timing_s`` is the time of silence after which a job is killed.
    """
    if end.reason == "fenced":
        return FENCED
    if end.reason == "cancelled":
        return Verdict(
            "cancelled", "cancel-requested", f"Cancelled by {end.message}.", status="cancelled"
        )
    lost = {
        "stopped": f"The runner ended the job: {end.message}.",
        "silence": (
            f"The runner's lease was not renewed for {end.message or f'{timing_s:g}'} s, "
            "so the job was ended."
        ),
        "zygote-lost": "The process that guards the runner's jobs died, so the job was killed.",
        "supervisor-lost": (
            "The process that guards the job ended or did not answer, so the job was killed."
        ),
    }
    if end.reason in lost:
        return Verdict("errored", "runner-lost", lost[end.reason])
    return None


def judge_checkout(end: StageEnd, assignment: JobAssignment) -> Verdict | None:
    """Return the verdict that ends the attempt after a checkout, or None to go on.

    Nothing of the user's has run: post-run does not either.
    """
    if end.succeeded:
        return None
    interruption = judge_interruption(end, assignment.timing.silence_kill_s)
    if interruption is not None:
        return replace(interruption, status=None)
    commit = assignment.checkout.commit if assignment.checkout else ""
    if end.reason == "timed-out":
        why = f"took longer than {assignment.timing.checkout_s:g} s"
    else:
        why = end.message or f"ended with exit status {end.exit_code}, see the log"
    return Verdict("errored", "setup", f"The checkout of commit {commit} failed: {why}.")


def judge_main(end: StageEnd, collected: Collected | None, assignment: JobAssignment) -> Verdict:
    """Return the verdict on the commands; ``collected`` is None unless they ended by themselves."""
    interruption = judge_interruption(end, assignment.timing.silence_kill_s)
    if interruption is not None:
        return interruption
    if end.reason == "timed-out":
        message = f"The job ran longer than its timeout of {assignment.timeout_s:g} s."
        return Verdict("failed", "timed-out", message, status="timed-out")
    if end.reason == "cannot-start":
        return _judge_start(end, assignment)
    outputs = collected.values if collected else {}
    if collected and collected.lost and end.code == NOT_STORED:
        end = end._replace(code=0)
    if not end.succeeded:
        message = f"The commands {_how(end)}{explanation(end)}"
        verdict = Verdict("failed", "exit-status", message, end.exit_code, "failed")
    elif collected and collected.problem:
        problem = collected.problem
        verdict = Verdict("failed", problem.reason, str(problem), end.exit_code, "failed")
    else:
        verdict = Verdict("succeeded", "", "", end.exit_code, "succeeded")
    return replace(verdict, outputs=outputs)


def judge_post_run(verdict: Verdict, end: StageEnd, assignment: JobAssignment) -> Verdict:
    """Return the verdict after post-run: it can only turn success into something worse."""
    interruption = judge_interruption(end, assignment.timing.silence_kill_s)
    if interruption is not None and interruption.outcome == "fenced":
        return interruption
    if verdict.outcome != "succeeded" or end.succeeded:
        return verdict
    if interruption is not None:
        return replace(interruption, exit_code=verdict.exit_code, outputs=verdict.outputs)
    how = _post_run_how(end, assignment)
    message = f"The commands succeeded, but post-run {how}{explanation(end)}"
    return replace(verdict, outcome="failed", reason="post-run", message=message, status="failed")


def _judge_start(end: StageEnd, assignment: JobAssignment) -> Verdict:
    message = f"The job could not be started: {end.message}."
    if assignment.working_directory is not None and "enter the folder" in end.message:
        message = (
            f"The job's working-directory {assignment.working_directory} cannot be entered: "
            f"{end.message.rpartition(': ')[2]}. It is looked for in the workspace."
        )
        return Verdict("failed", "setup", message)
    return Verdict("errored", "setup", message)


def _post_run_how(end: StageEnd, assignment: JobAssignment) -> str:
    if end.reason == "timed-out":
        return f"ran longer than its timeout of {assignment.post_run_timeout_s:g} s"
    return f"could not be started: {end.message}" if end.reason == "cannot-start" else _how(end)


def explanation(end: StageEnd) -> str:
    """Return the rest of a sentence that ends with an exit status: what it means, if known."""
    status = end.code if end.signal is None else 128 + end.signal
    if end.reason != "exited" or status not in _MEANINGS:
        return "."
    return f": {_MEANINGS[status]}"


def _how(end: StageEnd) -> str:
    if end.signal is None:
        return f"ended with exit status {end.code}"
    try:
        name = signal.Signals(end.signal).name
    except ValueError:
        name = "a real-time signal"
    return f"were ended by signal {end.signal} ({name})"
