"""``manage.py demo``, behind ``make demo``: one merge through three products, in the terminal."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from conveyor_site.demo.fresh import run_fresh
from conveyor_site.demo.showing import show_chain
from products.errors import ConveyorError

_INTERRUPTED = 130


class Command(BaseCommand):
    """Shows the chain in a temporary site, which it removes."""

    help = (
        "Show how one merge starts belts of three products: start a site in a temporary folder, "
        "merge with git, print the logs, print the runs with their inputs and outputs, and remove "
        "the site. Exit code: 0 all jobs succeeded, 1 not all did, 130 Ctrl-C ended it."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the option that the command passes to itself."""
        parser.add_argument(
            "--here",
            action="store_true",
            help="Use the folder CONVEYOR_DATA_DIR, which must be new, and keep the site there.",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run; ends the process with the exit code."""
        try:
            if not options["here"]:
                sys.exit(run_fresh("demo", "--here"))
            sys.exit(0 if show_chain(self._write) else 1)
        except ConveyorError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            self.stderr.write("The demonstration was interrupted before its end.")
            sys.exit(_INTERRUPTED)

    def _write(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
