"""``manage.py runner``: take jobs from queues and run them on this machine."""

from __future__ import annotations

import argparse
import logging
import math
import os
import re
import socket
import sys
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from products import statements
from products.errors import ConveyorError
from products.keys import key_ring
from products.names import QUEUE_PATTERN
from products.shared_settings import KEYS, QUEUE, unshared_settings
from runners.broker import broker_url
from runners.celery_app import preload
from runners.process import guard
from runners.process.isolating import choose_isolation
from runners.process.parent import Parent
from runners.process.places import own_place, prepare_places, take_name
from runners.process.plan import RunnerPlan
from runners.process.users import JOB_UIDS, choose_slots
from runners.settings_block import closed_to_jobs, job_path, work_dir

logger = logging.getLogger(__name__)

CLOSED = "The folder %s is left out of the PATH of jobs: this user may not look into it."

_DRAIN_LIMIT_S = 600.0
_NAME_MAX = 200


class Command(BaseCommand):
    """Runs until told to drain (SIGTERM, SIGINT, or a person in the admin)."""

    help = (
        "Claim jobs of the given queues and run them here. SIGTERM or Ctrl-C drains: running jobs "
        "end, nothing more is claimed; a second one ends the jobs. Exit code: 0 drained, 1 could "
        "not start or lost its name, 3 jobs were ended."
    )
    # System checks import all pages and so double what a runner keeps in memory.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options; all have defaults."""
        parser.add_argument(
            "--queues",
            type=_queues,
            default=(),
            metavar="A,B",
            help="The queues that it serves. Default: the site's default queue.",
        )
        parser.add_argument(
            "--slots",
            type=_positive,
            default=os.cpu_count() or 1,
            metavar="N",
            help="Jobs at the same time. Default: the number of processors.",
        )
        parser.add_argument(
            "--name", type=_name, help="Its name, which must be its own. Default: host and queues."
        )
        parser.add_argument(
            "--isolation",
            choices=["sandbox", "uid", "none"],
            help="Default: the strongest that works here. none has to be asked for.",
        )
        parser.add_argument(
            "--drain-limit",
            type=_seconds,
            default=_DRAIN_LIMIT_S,
            metavar="SECONDS",
            help="When draining, end jobs that take longer (default: %(default)g).",
        )
        parser.add_argument(
            "--job-uids",
            type=user_id_range,
            default=JOB_UIDS,
            metavar="FIRST-LAST",
            help=f"Users of a root runner's jobs (default: {JOB_UIDS[0]}-{JOB_UIDS[1]}).",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run; ends the process with the exit code of the runner."""
        guard.keep_secrets()
        guard.set_name("conveyor-runner")
        for unshared in unshared_settings(KEYS, QUEUE):
            logger.warning("%s", unshared)
        try:
            key_ring()
            plan = make_plan(options)
        except (ConveyorError, OSError) as error:
            raise CommandError(str(error)) from error
        statements.preload()
        _start_embedded_queue()
        sys.exit(Parent(plan).run())


def make_plan(options: dict[str, Any]) -> RunnerPlan:
    """Return what this start of a runner is, with its locks taken and leftovers removed.

    Raises NoPlaceError with the way out where this machine cannot do what was asked for.
    """
    host = socket.gethostname()
    name = options["name"] or "-".join((host, *options["queues"]))[:_NAME_MAX]
    boot_id = uuid4()
    folder = work_dir()
    prepare_places(folder)
    dead_boots = take_name(folder, name, boot_id)
    own = own_place(folder, name)
    uids = options["job_uids"] if os.geteuid() == 0 else None
    slots = choose_slots(folder, options["slots"], uids)
    path = job_path()
    for closed in closed_to_jobs():
        logger.warning(CLOSED, closed)
    isolation, report = choose_isolation(own, slots[0].uid, path=path, wanted=options["isolation"])
    return RunnerPlan(
        name=name,
        host=host,
        boot_id=boot_id,
        dead_boots=dead_boots,
        queues=options["queues"],
        slots=slots,
        isolation=isolation,
        isolation_report=tuple(report),
        work_dir=own,
        job_path=path,
        drain_limit_s=options["drain_limit"],
        times=settings.CONVEYOR_TIMES,
        least_bytes=settings.CONVEYOR_LEAST_FREE_MIB * 2**20,
        least_files=settings.CONVEYOR_LEAST_FREE_FILES,
    )


def _start_embedded_queue() -> None:
    """Have the embedded queue live as long as this runner, where it is the first to need it."""
    try:
        preload(broker_url())
    except Exception as error:
        # Whatever it is, runners poll, and the doorbell tries again.
        logger.warning("There is no queue yet: %s", error)


def _queues(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in names:
        if not re.fullmatch(QUEUE_PATTERN, name):
            raise argparse.ArgumentTypeError(
                f"{name!r} is no queue: use lower-case letters, digits, '.', '-' and '_'."
            )
    return names


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of slots; use 1 or more.")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds; use 0 or more.")
    return seconds


def _name(text: str) -> str:
    if not re.fullmatch(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{_NAME_MAX - 1}}}", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no name: use letters, digits, '.', '-' and '_'."
        )
    return text


def user_id_range(text: str) -> tuple[int, int]:
    """Return the first and last of a range of user ids. Raises ArgumentTypeError for no range."""
    first, _, last = text.partition("-")
    if not (first.isdecimal() and last.isdecimal() and 0 < int(first) <= int(last)):
        raise argparse.ArgumentTypeError(f"{text!r} is no range of user ids, as 64000-64999.")
    return int(first), int(last)
