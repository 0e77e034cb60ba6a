"""``manage.py run_belt``: start a belt from a terminal and follow its run."""

from __future__ import annotations

import argparse
import getpass
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.termcolors import make_style

from belts.models import Belt
from belts.spec.names import did_you_mean, visible
from conveyor_site.following import follow
from conveyor_site.run_report import report_of
from products.configuration import public_url
from products.errors import ConveyorError
from products.storable import unstorable
from runners.hints import publish_hints
from runners.unserved import unserved_queues
from runs.models import BeltRun, JobRun
from runs.start import start_belt_run

NOT_SUCCEEDED = 1
INTERRUPTED = 130

_NO_QUEUE = (
    "The queue accepts no message ({error}). Jobs start up to {poll:g} seconds later, when runners "
    "poll for them."
)
_COLOURS = ("cyan", "magenta", "yellow", "blue", "green")


class Command(BaseCommand):
    """Starts a belt, and follows the run if asked."""

    help = (
        "Start a belt. Exit code without --follow: 0 the run was started, 1 it was not. With "
        "--follow: 0 all jobs succeeded, 1 not all did, 130 Ctrl-C ended the following."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the belt and the options."""
        parser.add_argument(
            "belt", metavar="PRODUCT.BELT", help="Belt to start, such as web-service.release."
        )
        parser.add_argument(
            "--ref", default=None, help="Branch, tag or commit. Default: the default branch."
        )
        parser.add_argument(
            "-i",
            "--input",
            action="append",
            default=[],
            type=parameter,
            metavar="NAME=VALUE",
            help="Set a variable in every job. Can be repeated, once for each name.",
        )
        parser.add_argument("--follow", action="store_true", help="Print the logs until the end.")
        parser.add_argument("--chain", action="store_true", help="Follow downstream runs as well.")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Start the belt; end the process if the exit code is not 0."""
        ref, parameters = ref_named(options["ref"]), each_once(options["input"])
        try:
            with _queue_errors_as_text(self.stderr.write):
                run = start_belt_run(
                    belt_named(options["belt"]),
                    ref=ref,
                    parameters=parameters,
                    by=_who(),
                )
        except ConveyorError as error:
            raise CommandError(_with_problems(error)) from error
        follows = options["follow"] or options["chain"]
        code = self._accompany(run, follows=follows, chain=options["chain"])
        if code:
            sys.exit(code)

    def _accompany(self, run: BeltRun, *, follows: bool, chain: bool) -> int:
        """Print the run, to its end if it is followed; return the exit code."""
        try:
            self._say(f"{run} was started: {_address(run)}")
            for sentence in _unserved(run):
                self._say(f"Jobs wait. {sentence}")
            return self._follow(run, chain=chain) if follows else 0
        except KeyboardInterrupt:
            self._say(f"\nFollowing ended. {run} continues. To cancel it, open {_address(run)}")
            return INTERRUPTED
        except BeltRun.DoesNotExist as error:
            raise CommandError(f"{run} was removed while it was followed.") from error

    def _follow(self, run: BeltRun, *, chain: bool) -> int:
        write = _coloured(self._say) if self.stdout.isatty() else self._say
        succeeded = follow(run.id, write, chain=chain)
        run.refresh_from_db()
        for line in ("", *report_of(run, chain=chain)):
            self._say(line)
        return 0 if succeeded else NOT_SUCCEEDED

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def parameter(text: str) -> tuple[str, str]:
    """Return name and value of NAME=VALUE. Raises ArgumentTypeError for other text."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE.")
    return name, value


def ref_named(text: str | None) -> str:
    """Return the ref, empty if none is given. Raises CommandError for an empty name."""
    if text is not None and not text.strip():
        raise CommandError(
            "--ref is empty. Name a branch, a tag or a commit, or leave --ref out for the default "
            "branch."
        )
    return text or ""


def each_once(parameters: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return values by name. Raises CommandError for a repeated name."""
    values: dict[str, str] = {}
    for name, value in parameters:
        if name in values:
            raise CommandError(f"The input {visible(name)} is given more than once. Give it once.")
        values[name] = value
    return values


def belt_named(text: str) -> Belt:
    """Return the belt PRODUCT.BELT. Raises CommandError with similar names."""
    product, _, name = text.partition(".")
    belt: Belt | None = None
    if unstorable(text) is None:
        belt = Belt.objects.named(product, name).first()
    if belt is None:
        present = Belt.objects.filter(archived_at=None, product__archived_at=None)
        known = [f"{a}.{b}" for a, b in present.values_list("product__name", "name")]
        hint = did_you_mean(text, known, what="belts here")
        raise CommandError(f"There is no belt {visible(text)} here. {hint}")
    return belt


def _unserved(run: BeltRun) -> list[str]:
    """Return a sentence for each queue of the run that no runner serves."""
    wanted = JobRun.objects.filter(belt_run=run).order_by("queue").values_list("queue", "protocol")
    return sorted(set(unserved_queues(set(wanted)).values()))


def _address(run: BeltRun) -> str:
    return f"{public_url()}{run.get_absolute_url()}"


def _who() -> str:
    try:
        return f"{visible(getpass.getuser())} (run_belt)"
    except (KeyError, OSError):
        # A user without an account, as in containers.
        return "run_belt"


def _with_problems(error: ConveyorError) -> str:
    problems = getattr(error, "problems", ())
    lines = dict.fromkeys(f"{each.message} {each.hint}".strip() for each in problems)
    if len(lines) < 2:
        return visible(str(error))
    return "\n  ".join(map(visible, [f"{getattr(error, 'headline', error)}:", *lines]))


@contextmanager
def _queue_errors_as_text(say: Callable[[str], object]) -> Iterator[None]:
    """Print a sentence instead of the log line about a queue that accepts no message."""

    def show(record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        error = str(record.args[0] if isinstance(record.args, tuple) and record.args else "")
        poll = settings.CONVEYOR_TIMES["poll"]
        say(_NO_QUEUE.format(error=visible(error.rstrip(".")), poll=poll))
        return False

    publisher = logging.getLogger(publish_hints.__module__)
    publisher.addFilter(show)
    try:
        yield
    finally:
        publisher.removeFilter(show)


def _coloured(say: Any) -> Any:
    """Return a writer that colours the name of the job before each line of its log."""
    styles: dict[str, Any] = {}

    def write(line: str) -> None:
        label, bar, text = line.partition(" | ")
        if not bar:
            say(line)
            return
        colour = _COLOURS[len(styles) % len(_COLOURS)]
        style = styles.setdefault(label, make_style(fg=colour))
        say(f"{style(label)}{bar}{text}")

    return write
