"""``manage.py runner_doctor``: what a runner started here would find."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import connection
from django.db.utils import DatabaseError, InterfaceError
from kombu import Connection

from products.credentials import try_credentials
from products.database_trouble import database_sentence
from products.errors import ConveyorError
from products.keys import key_ring
from products.shared_settings import KEYS, QUEUE, unshared_settings
from runners.broker import broker_url
from runners.executor.isolation import detect
from runners.management.commands.runner import CLOSED, user_id_range
from runners.models import Runner
from runners.process.places import prepare_places
from runners.process.users import JOB_UIDS, choose_slots
from runners.settings_block import closed_to_jobs, job_path, transport_options, work_dir

_PATIENCE_S = 3
_ROOM_MIB = 512


class Command(BaseCommand):
    """Tries each thing a runner needs and says what holds."""

    help = (
        "Say what a runner started here as this user would find: isolation, tools, work folder, "
        "database and queue. Exit code 0 if it could work, else 1."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options; all have defaults."""
        parser.add_argument(
            "--job-uids",
            type=user_id_range,
            default=JOB_UIDS,
            metavar="FIRST-LAST",
            help=f"As of the runner (default: {JOB_UIDS[0]}-{JOB_UIDS[1]}).",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print a line for each fact; end with exit code 0 or 1."""
        checks = {
            "database": _database,
            "queue": _queue,
            "keys": _keys,
            "place": lambda: _place(options["job_uids"]),
        }
        holds = True
        for unshared in unshared_settings(KEYS, QUEUE):
            self.stdout.write(f"warning: {unshared}")
        for name, check in checks.items():
            found = _tried(name, check)
            holds &= found.holds
            self.stdout.write("\n".join(found.lines))
        sys.exit(0 if holds else 1)


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found, as lines, and whether a runner could work with it."""

    lines: list[str]
    holds: bool = True


def _tried(name: str, check: Callable[[], Found]) -> Found:
    try:
        return check()
    except ConveyorError as error:
        return Found([f"no: {error}"], holds=False)
    except (DatabaseError, InterfaceError) as error:
        told = database_sentence(error) or f"The {name} cannot be used: {error}"
        return Found([f"no: {told}"], holds=False)
    except Exception as error:
        # Drivers of databases and brokers have errors of their own; all of them mean no.
        return Found([f"no: The {name} cannot be used: {error}".strip()], holds=False)


def _database() -> Found:
    count = Runner.objects.count()
    where = connection.settings_dict
    name = f"{where['HOST'] or 'this machine'}, {where['NAME']}"
    return Found([f"ok: The database ({connection.vendor}: {name}) answers; {count} runners."])


def _keys() -> Found:
    key_ring()
    try:
        count = try_credentials()
    except (DatabaseError, InterfaceError):
        return Found(
            ["no: Whether CONVEYOR_KEYS opens the credentials cannot be seen."], holds=False
        )
    return Found([f"ok: CONVEYOR_KEYS opens all {count} credentials that are stored."])


def _queue() -> Found:
    url = broker_url()
    with Connection(
        url, connect_timeout=_PATIENCE_S, transport_options=transport_options(url)
    ) as broker:
        broker.ensure_connection(max_retries=0)
    place = urlsplit(url)
    return Found([f"ok: The queue ({place.scheme}, {place.hostname or place.path}) answers."])


def _place(uids: tuple[int, int]) -> Found:
    folder = work_dir()
    prepare_places(folder)
    own = folder / f".doctor-{os.getpid()}"
    slot = choose_slots(folder, 1, uids if os.geteuid() == 0 else None)[0]
    try:
        report = detect(own, job_uid=slot.uid, path=job_path())
    finally:
        shutil.rmtree(own, ignore_errors=True)
    isolated = report.level != "none" or settings.CONVEYOR_EMBEDDED
    free_mib = shutil.disk_usage(folder).free // 2**20
    roomy = free_mib >= _ROOM_MIB
    lines = [
        f"ok: This machine is {socket.gethostname()}; the user is {os.geteuid()}.",
        f"{_mark(roomy)}: The work folder {folder} has {free_mib} MiB free.",
        *(f"no: {CLOSED % closed}" for closed in closed_to_jobs()),
        *report.sentences,
        f"{_mark(isolated)}: Isolation of jobs would be {report.level}.",
    ]
    return Found(lines, holds=isolated and roomy)


def _mark(holds: bool) -> str:
    return "ok" if holds else "no"
