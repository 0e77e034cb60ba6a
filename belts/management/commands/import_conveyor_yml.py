"""``manage.py import_conveyor_yml``: make products of belt files."""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.utils import DatabaseError, InterfaceError

from belts.checking import check_without_database
from belts.import_report import to_document, to_text
from belts.importing import ImportOptions, ImportOutcome, import_sources
from products.database_trouble import database_sentence

_NO_DATABASE = "No database is set up."


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
            "--credential",
            default="",
            metavar="NAME",
            help="Read the URL with this credential, now and at each poll. Make it in the admin.",
        )
        parser.add_argument(
            "--check",
            action="store_true",
            help="Print what would change, and write nothing. Works without a database.",
        )
        parser.add_argument("--strict", action="store_true", help="Treat warnings as errors.")
        parser.add_argument(
            "--take-over",
            action="store_true",
            help="Let the file manage a product that the admin manages.",
        )
        parser.add_argument(
            "--format",
            choices=["text", "json"],
            default="text",
            help="The form of stdout. With json it has the problems too.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Import, print the result for each source, and exit with 1 if any failed."""
        wanted = ImportOptions(
            ref=options["ref"],
            source=options["source"],
            credential=options["credential"],
            check=options["check"],
            strict=options["strict"],
            take_over=options["take_over"],
        )
        outcomes, unchecked = self._outcomes(options["sources"], wanted)
        self._print(outcomes, wanted, unchecked, as_json=options["format"] == "json")
        failed = sum(outcome.failed for outcome in outcomes)
        if failed:
            what = "Would not be imported" if wanted.check else "Not imported"
            raise CommandError(f"{what}: {failed} of {len(outcomes)}.")

    def _outcomes(
        self, labels: list[str], options: ImportOptions
    ) -> tuple[list[ImportOutcome], str]:
        """Return the outcomes, and why other products were not looked at, empty if they were."""
        try:
            return import_sources(labels, options), ""
        except (DatabaseError, InterfaceError) as error:
            sentence = database_sentence(error)
            if not options.check or sentence is None:
                raise
        in_memory = connection.vendor == "sqlite" and connection.settings_dict["NAME"] == ":memory:"
        reason = _NO_DATABASE if in_memory else sentence
        return check_without_database(labels, options), reason

    def _print(
        self,
        outcomes: list[ImportOutcome],
        options: ImportOptions,
        unchecked: str,
        *,
        as_json: bool,
    ) -> None:
        for outcome in outcomes:
            report, problems = to_text(outcome, check=options.check)
            if problems:
                self.stderr.write(problems, style_func=str)
            if report and not as_json:
                self.stdout.write(report)
        if unchecked:
            reason = f"{unchecked[:1].lower()}{unchecked[1:]}"
            self.stderr.write(f"Other products were not looked at: {reason}", style_func=str)
        if as_json:
            document = {
                "ok": not any(outcome.failed for outcome in outcomes),
                "check": options.check,
                "other_products": {"checked": not unchecked, "reason": unchecked or None},
                "sources": [to_document(outcome) for outcome in outcomes],
            }
            self.stdout.write(json.dumps(document, indent=2))
