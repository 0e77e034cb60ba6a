"""``manage.py demo_site``, behind ``make run``: a site with three example products."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from conveyor_site.demo.showing import run_site
from conveyor_site.ports import port_number
from products.errors import ConveyorError


class Command(BaseCommand):
    """Runs until interrupted."""

    help = (
        "Run a complete site on this machine: embedded database and queue, an administrator, three "
        "example products with git repositories, an orchestrator and a runner. Ctrl-C ends it. "
        "Exit code: 0 it ended after Ctrl-C, 1 it could not run."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the option."""
        parser.add_argument(
            "--port",
            type=port_number,
            default=None,
            help="Port of the pages. Default: that of the last start, else 8000, else a free one.",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run the site; raise CommandError with the reason if that fails."""
        try:
            run_site(self._write, options["port"])
        except ConveyorError as error:
            raise CommandError(str(error)) from error

    def _write(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
