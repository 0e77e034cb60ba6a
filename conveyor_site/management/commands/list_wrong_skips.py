"""``manage.py list_wrong_skips``: list belt runs that ended with wrongly skipped jobs."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from products.configuration import public_url
from runs.wrong_skips import wrongly_skipped


class Command(BaseCommand):
    """Lists the runs on standard output, one a line; changes nothing."""

    help = (
        "List finished belt runs in which jobs were skipped although no job that they need had "
        "failed. Early versions ended runs like this; see CHANGELOG.md. This command changes "
        "nothing."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print each run with its address, its state and its wrongly skipped jobs."""
        count = 0
        for found in wrongly_skipped():
            count += 1
            run = found.run
            self.stdout.write(
                f"{run} of {run.created_at:%Y-%m-%d} ended as {run.state} without running "
                f"{', '.join(found.jobs)}: {public_url()}{run.get_absolute_url()}"
            )
        if count:
            runs = "1 belt run" if count == 1 else f"{count} belt runs"
            self.stdout.write(
                f"{runs} ended with wrongly skipped jobs. To run "
                "those jobs, open the run's page and press “Rerun what failed”."
            )
        else:
            self.stdout.write("No belt run ended with wrongly skipped jobs.")
