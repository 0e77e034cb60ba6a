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
    """Shows the chain in a site of its own that leaves nothing behind."""

    help = (
        "Show one merge travelling through three products: start a site in a temporary folder, "
        "merge by plain git, follow the logs, print what ran with the values passed, and remove "
        "everything. Exit code: 0 only if all succeeded."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the option that the command passes to itself."""
        parser.add_argument(
            "--here",
            action="store_true",
            help="Use the folder CONVEYOR_DATA_DIR, which should be new, and keep it.",
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
            self.stderr.write("Interrupted before the end.")
            sys.exit(_INTERRUPTED)

    def _write(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
