"""``manage.py orchestrator``: the site's server."""

from __future__ import annotations

import signal
import sys
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connections
from kombu import Connection

from conveyor_site.health import NotReadyError, check_database
from conveyor_site.orchestrator.parent import Orchestrator, Work
from conveyor_site.orchestrator.web import address_of, listen, local_address_of, run_web
from conveyor_site.orchestrator.worker import run_worker
from conveyor_site.ports import port_number
from conveyor_site.reconciler import Reconciler
from products.database_trouble import database_sentence
from products.errors import ConveyorError
from products.site_address import publish_address
from runners.broker import broker_url
from runners.celery_app import preload
from runners.process import guard
from runners.process.links import Link
from runners.site_mark import options_of_site

_PATIENCE_S = 1


class Command(BaseCommand):
    """Serves until SIGTERM, SIGINT or Ctrl-C."""

    help = (
        "Serve pages, API and admin, start what events and schedules trigger, and look after the "
        "engine. Any number may run beside one another. SIGTERM or Ctrl-C ends it. Exit code: 0 "
        "ended, 1 could not start."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options; all have defaults."""
        parser.add_argument("--host", default="127.0.0.1", help="Default: %(default)s.")
        parser.add_argument(
            "--port",
            type=port_number,
            default=8000,
            help="0 is any free one. Default: %(default)s.",
        )
        parser.add_argument("--no-web", action="store_true", help="Serve no pages, only duties.")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run; ends the process with its exit code."""
        guard.keep_secrets()
        guard.set_name("conveyor-orchestrator")
        works: dict[str, Work] = {"reconciler": run_reconciler, "worker": run_worker}
        try:
            check_database()
            if not options["no_web"]:
                listener = listen(options["host"], options["port"])
                works["web"] = partial(run_web, listener=listener)
                self.stdout.write(f"Conveyor is at {address_of(listener)}")
                publish_address(local_address_of(listener))
        except NotReadyError as error:
            raise CommandError(_not_ready(error)) from error
        except ConveyorError as error:
            raise CommandError(str(error)) from error
        finally:
            connections.close_all()
        self._look_at_queue()
        self.stdout.flush()
        sys.exit(Orchestrator(works).run())

    def _look_at_queue(self) -> None:
        """Start the embedded queue, for as long as this process lives, or say what is wrong."""
        try:
            url = broker_url()
            preload(url)
            options = options_of_site(url)
            with Connection(url, connect_timeout=_PATIENCE_S, transport_options=options) as queue:
                queue.ensure_connection(max_retries=0, timeout=_PATIENCE_S)
        except Exception as error:
            # Each transport has errors of its own; whatever it is, work is found without a queue.
            self.stderr.write(
                f"The queue cannot be used yet: {error}. Jobs start with some seconds of delay "
                "until it can."
            )
        finally:
            # Children that are forked now share none.
            connections.close_all()


def _not_ready(error: NotReadyError) -> str:
    """Return what to tell an operator, who may know what the database said."""
    cause = error.__cause__
    told = database_sentence(cause) if isinstance(cause, DatabaseError) else None
    return told or f"{error} {error.detail}".strip()


def run_reconciler(_link: Link) -> int:
    """Do duties until told to end; return the exit code of the process."""
    reconciler = Reconciler()
    signal.signal(signal.SIGTERM, lambda *_: reconciler.stop())
    return reconciler.run()
