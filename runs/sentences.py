"""Sentences for people about the state of a job run."""

from __future__ import annotations

from runs.models import JobRun
from runs.states import JobRunState, Reason

#: Shown if a job run has no message.
_SENTENCES: dict[str, str] = {
    Reason.READY: "Waits for a runner.",
    Reason.CLAIMED: "A runner prepares it.",
    Reason.REUSED: "Kept from an earlier round.",
    Reason.EXIT_STATUS: "Its commands ended with an error.",
    Reason.TIMED_OUT: "It took longer than its timeout.",
    Reason.OUTPUT_MISSING: "It ended without an output that it declares.",
    Reason.OUTPUT_INVALID: "One of its outputs has a value that cannot be stored.",
    Reason.POST_RUN: "Its post-run commands ended with an error.",
    Reason.SETUP: "It could not be prepared.",
    Reason.NO_SOURCE: "Its product has no source.",
    Reason.INPUT_MISSING: "An input that it needs is missing.",
    Reason.CREDENTIAL_MISSING: "A credential that it names is not available to it.",
    Reason.UPSTREAM_FAILED: "A job that it needs did not succeed.",
    Reason.RUNNER_LOST: "Its runner was lost.",
    Reason.NO_RUNNER: "No runner claimed it in time.",
    Reason.CANCEL_REQUESTED: "It was cancelled.",
    Reason.RETRY: "Waits for its next attempt.",
    Reason.INTERNAL: "Conveyor failed. Its log has the error.",
}

#: A lost runner may have run any part of the commands; only the author knows if that may repeat.
_AFTER_A_LOSS = "Its commands may have run in part. Rerun the job if repeating them does no harm."


def why(job_run: JobRun) -> str:
    """Return the reason for the state of a job run as a sentence; empty if there is none."""
    if job_run.message:
        lost = job_run.state == JobRunState.ERRORED and job_run.reason == Reason.RUNNER_LOST
        return f"{job_run.message} {_AFTER_A_LOSS}" if lost else job_run.message
    if job_run.state == JobRunState.WAITING:
        names = ", ".join(each.name for each in getattr(job_run, "waits_for", ()))
        return f"Waits for {names}." if names else "Waits for what it needs."
    return _SENTENCES.get(job_run.reason, "")


def instead_of_log(job_run: JobRun, warning: str = "") -> str:
    """Return the text that a page shows in place of the log of a job run without an attempt.

    ``warning`` is that of its queue, if there is one (see ``runs.queue_warnings``).
    """
    if job_run.reused_from is not None:
        return f"Kept from {job_run.reused_from.belt_run.label}. Its log is there."
    return f"{why(job_run) or 'No attempt was made.'} {warning}".rstrip()
