"""Errors of runs, with their messages."""

from __future__ import annotations

from collections.abc import Sequence

from belts.models import Belt
from belts.spec.problems import Problem
from products.errors import PlatformError, UserError
from runs.models import BeltRun, JobRun


class IllegalMoveError(PlatformError):
    """A state was to be written that cannot follow the present one."""

    code = "run.illegal-move"
    http_status = 500

    def __init__(self, what: str, old: str, new: str) -> None:
        super().__init__(
            f"A {what} cannot move from {old} to {new}. This is a bug in Conveyor. Report it."
        )


class RunFinishedError(UserError):
    """A finished run cannot be cancelled."""

    code = "run.already-finished"
    http_status = 409

    def __init__(self, run: BeltRun | JobRun) -> None:
        super().__init__(
            f"{run} is already finished ({run.state}). Only unfinished runs can be cancelled."
        )


class RunGoneError(UserError):
    """A run was removed during a request."""

    code = "run.gone"
    http_status = 404

    def __init__(self, run: BeltRun | JobRun) -> None:
        what = f"job run {run.name}" if isinstance(run, JobRun) else f"belt run {run.label}"
        super().__init__(
            f"The {what} was removed in the meantime. Look for a newer run of the belt."
        )


class BeltGoneError(UserError):
    """A belt was deleted while it was being started."""

    code = "belt.gone"
    http_status = 404

    def __init__(self, name: str) -> None:
        super().__init__(f"The belt {name} was deleted in the meantime. Start another belt.")


class RunUnfinishedError(UserError):
    """An unfinished run cannot be repeated."""

    code = "run.not-finished"
    http_status = 409

    def __init__(self, run: BeltRun) -> None:
        super().__init__(
            f"{run} is not finished yet ({run.state}). Wait for its end, or cancel it first."
        )


class RunUnresolvedError(UserError):
    """A run with unresolved names cannot be repeated, as a repeat has the same definition."""

    code = "run.unresolved"
    http_status = 409

    def __init__(self, run: BeltRun, sentences: Sequence[str]) -> None:
        super().__init__(
            f"{run} cannot be repeated, because its definition has unresolved names. "
            f"{' '.join(sentences[:5])} Fix the belt file and start the belt again."
        )


class NothingToRerunError(UserError):
    """A rerun of failed jobs was requested, but all jobs succeeded."""

    code = "run.nothing-failed"
    http_status = 409

    def __init__(self, run: BeltRun) -> None:
        super().__init__(f"Every job of {run} succeeded. Rerun all jobs instead.")


class BeltArchivedError(UserError):
    """The belt is no longer part of its product's definition, or the product is archived."""

    code = "belt.archived"
    http_status = 409

    def __init__(self, belt: Belt) -> None:
        if belt.product.archived_at is not None:
            sentence = (
                f"The product {belt.product} is archived. Restore it in the admin, Products, to "
                "start its belts."
            )
        else:
            sentence = (
                f"The belt {belt} is archived: its product's definition no longer has it. To start "
                "it, add it to the belt file or in the admin."
            )
        super().__init__(sentence)


class BeltMissingError(UserError):
    """The definition at the run's commit has no such belt."""

    code = "belt.not-at-commit"
    http_status = 409

    def __init__(self, product: str, belt: str, known: Sequence[str], commit: str) -> None:
        place = f"at commit {commit[:12]}" if commit else "in its present definition"
        names = ", ".join(known) or "none"
        super().__init__(f"{product} has no belt {belt} {place}. Its belts there: {names}.")


class NoSourceToRefError(UserError):
    """A ref was given for a product that has no repository."""

    code = "source.none"
    http_status = 409

    def __init__(self, product: str, ref: str) -> None:
        super().__init__(
            f"The product {product} has no source, so there is no ref {ref}. Start the belt "
            "without a ref, or add a source in the admin."
        )


class UnresolvedError(UserError):
    """References or inputs of the belt name what does not exist; ``problems`` says which."""

    code = "belt.unresolved"
    http_status = 409

    def __init__(self, belt: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        self.headline = f"{belt} cannot be started"
        sentences = dict.fromkeys(f"{each.message} {each.hint}".strip() for each in problems)
        super().__init__(f"{self.headline}: {' '.join(list(sentences)[:5])}")


class NotStartedError(UserError):
    """An edge could not start its belt; the message has the reason."""

    code = "edge.not-started"


class ParameterError(UserError):
    """A parameter has a name or a value that no variable of a job can have, or a ref a character
    that no text may hold.
    """

    code = "run.parameter"


class LogPieceError(PlatformError):
    """A stored piece of a log cannot be read."""

    code = "log.unreadable"


class SweepError(PlatformError):
    """The server could not process some rows; its log has each error."""

    code = "run.sweep"

    def __init__(self, failures: Sequence[Exception]) -> None:
        first = failures[0]
        super().__init__(
            f"{len(failures)} rows could not be processed. The first error was "
            f"{type(first).__name__}: {first}"
        )
