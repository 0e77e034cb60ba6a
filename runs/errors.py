"""What can go wrong with runs, as sentences."""

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
        super().__init__(f"A {what} does not go from {old} to {new}. This is a mistake of ours.")


class RunFinishedError(UserError):
    """What has ended cannot be cancelled."""

    code = "run.already-finished"
    http_status = 409

    def __init__(self, run: BeltRun | JobRun) -> None:
        super().__init__(f"{run} is already finished ({run.state}), so it cannot be cancelled.")


class RunGoneError(UserError):
    """A run was removed while something was asked of it."""

    code = "run.gone"
    http_status = 404

    def __init__(self, run: BeltRun | JobRun) -> None:
        what = f"job run {run.name}" if isinstance(run, JobRun) else f"belt run {run.label}"
        super().__init__(f"The {what} is not there any more: it was removed meanwhile.")


class BeltGoneError(UserError):
    """A belt was deleted while it was being started."""

    code = "belt.gone"
    http_status = 404

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The belt {name} is not there any more: it was deleted meanwhile. Start another one."
        )


class RunUnfinishedError(UserError):
    """What has not ended cannot be repeated."""

    code = "run.not-finished"
    http_status = 409

    def __init__(self, run: BeltRun) -> None:
        super().__init__(
            f"{run} is not finished yet ({run.state}). Wait for its end or cancel it, then rerun."
        )


class RunUnresolvedError(UserError):
    """What names nothing in the plan of a run names nothing in that of its repeat."""

    code = "run.unresolved"
    http_status = 409

    def __init__(self, run: BeltRun, sentences: Sequence[str]) -> None:
        super().__init__(
            f"{run} cannot be repeated: a repeat takes over its plan, in which names mean nothing. "
            f"{' '.join(sentences[:5])} Start the belt anew once they exist."
        )


class NothingToRerunError(UserError):
    """Only what did not succeed was to be repeated, and everything succeeded."""

    code = "run.nothing-failed"
    http_status = 409

    def __init__(self, run: BeltRun) -> None:
        super().__init__(f"Every job of {run} succeeded. Rerun all of it instead.")


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
                f"The belt {belt} is archived: its product's definition no longer has it. Put it "
                "back into the belt file, or into the admin, to start it again."
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
            f"The product {product} has no source, so there is no ref {ref}. Start it without a "
            "ref, or give the product a source."
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
    """An edge has fired, and there is nothing that it may start; the sentence says why."""

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
    """Rows that the server looks after could not be dealt with; its log says more of each."""

    code = "run.sweep"

    def __init__(self, failures: Sequence[Exception]) -> None:
        first = failures[0]
        super().__init__(
            f"{len(failures)} could not be dealt with, and all others were. The first failed by "
            f"{type(first).__name__}: {first}"
        )
