"""``manage.py orchestrator``: serve pages and API, and perform the duties of a site."""

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

_CONNECT_S = 1


class Command(BaseCommand):
    """Serves until SIGTERM, SIGINT or Ctrl-C."""

    help = (
        "Serve pages, API and admin, start belts for events and schedules, and perform periodic "
        "duties. Any number of orchestrators can run side by side. SIGTERM or Ctrl-C ends one. "
        "Exit code: 0 it ended, 1 it could not start."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options; all have defaults."""
        parser.add_argument(
            "--host", default="127.0.0.1", help="Address to listen on. Default: %(default)s."
        )
        parser.add_argument(
            "--port",
            type=port_number,
            default=8000,
            help="Port to listen on; 0 is any free port. Default: %(default)s.",
        )
        parser.add_argument(
            "--no-web", action="store_true", help="Perform duties only, serve no pages."
        )

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
        self._check_queue()
        self.stdout.flush()
        sys.exit(Orchestrator(works).run())

    def _check_queue(self) -> None:
        """Start the embedded queue for the life of this process; print why if that fails."""
        try:
            url = broker_url()
            preload(url)
            options = options_of_site(url)
            with Connection(url, connect_timeout=_CONNECT_S, transport_options=options) as queue:
                queue.ensure_connection(max_retries=0, timeout=_CONNECT_S)
        except Exception as error:
            # Each transport has errors of its own. Duties find the work without a queue.
            self.stderr.write(
                f"The queue cannot be reached: {error}. Until it can be reached, jobs start some "
                "seconds later. Check CONVEYOR_BROKER_URL and the queue server."
            )
        finally:
            # Children that are forked now must not share a connection.
            connections.close_all()


def _not_ready(error: NotReadyError) -> str:
    """Return the sentence for an operator, who may see the database's own message."""
    cause = error.__cause__
    sentence = database_sentence(cause) if isinstance(cause, DatabaseError) else None
    return sentence or f"{error} {error.detail}".strip()


def run_reconciler(_link: Link) -> int:
    """Perform duties until SIGTERM; return the exit code of the process."""
    reconciler = Reconciler()
    signal.signal(signal.SIGTERM, lambda *_: reconciler.stop())
    return reconciler.run()
