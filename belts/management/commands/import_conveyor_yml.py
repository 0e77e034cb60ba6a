"""``manage.py import_conveyor_yml``: make products of belt files."""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from belts.import_report import to_document, to_text
from belts.importing import ImportOptions, ImportOutcome, import_sources


class Command(BaseCommand):
    """Imports belt files."""

    help = (
        "Make products of belt files (.conveyor.yml), or bring them up to date. Each source is "
        "imported in a transaction of its own, whole or not at all. What changed is printed; "
        "problems are on stderr. Exit code 0, or 1 if any source has problems that keep it from "
        "being imported."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.formatter_class = argparse.HelpFormatter
        parser.add_argument(
            "sources",
            nargs="+",
            metavar="SOURCE",
            help="A belt file, a checkout, or the URL of a git repository.",
        )
        parser.add_argument(
            "--ref", default="", help="Branch, tag or commit of checkouts and git URLs."
        )
        parser.add_argument("--source", default="", metavar="URL", help="The product's repository.")
        parser.add_argument(
            "--check", action="store_true", help="Say what would be, and write nothing."
        )
        parser.add_argument("--strict", action="store_true", help="Take warnings for errors.")
        parser.add_argument(
            "--take-over",
            action="store_true",
            help="Let the file manage a product that the admin manages.",
        )
        parser.add_argument(
            "--format",
            choices=["text", "json"],
            default="text",
            help="Of what is printed on stdout; with json it has the problems too.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Import, print what became of each source, and exit with 1 if any failed."""
        wanted = ImportOptions(
            ref=options["ref"],
            source=options["source"],
            check=options["check"],
            strict=options["strict"],
            take_over=options["take_over"],
        )
        outcomes = import_sources(options["sources"], wanted)
        self._print(outcomes, wanted, as_json=options["format"] == "json")
        failed = sum(outcome.failed for outcome in outcomes)
        if failed:
            what = "Would not be imported" if wanted.check else "Not imported"
            raise CommandError(f"{what}: {failed} of {len(outcomes)}.")

    def _print(
        self, outcomes: list[ImportOutcome], options: ImportOptions, *, as_json: bool
    ) -> None:
        for outcome in outcomes:
            report, problems = to_text(outcome, check=options.check)
            if problems:
                self.stderr.write(problems, style_func=str)
            if report and not as_json:
                self.stdout.write(report)
        if as_json:
            document = {
                "ok": not any(outcome.failed for outcome in outcomes),
                "check": options.check,
                "sources": [to_document(outcome) for outcome in outcomes],
            }
            self.stdout.write(json.dumps(document, indent=2))
