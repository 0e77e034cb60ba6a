"""The site's configuration: one row, edited in the admin."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models

from products.names import validate_queue


class Configuration(models.Model):
    """Defaults and limits of the whole site; the row with id 1 is the only one.

    Read with ``products.configuration.current()``. Limits are reliability defaults of the field;
    a limit that is reached is named in the refusal.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    public_url = models.URLField(
        "public URL",
        blank=True,
        default="",
        help_text="How people reach the pages. Empty means CONVEYOR_PUBLIC_URL.",
    )
    default_queue = models.CharField(
        max_length=63,
        default="default",
        validators=[validate_queue],
        help_text="Of jobs that name no queue.",
    )
    default_timeout_s = models.PositiveIntegerField(
        "default timeout (seconds)",
        default=3600,
        validators=[MinValueValidator(1)],
        help_text="A job that names no timeout may run for so long.",
    )
    max_timeout_s = models.PositiveIntegerField(
        "longest timeout (seconds)",
        default=86400,
        help_text="No job runs for longer, whatever its belt file says.",
    )
    queue_limit_s = models.PositiveIntegerField(
        "queue limit (seconds)",
        default=86400,
        help_text="A job that is queued for longer ends as errored.",
    )
    poll_interval_s = models.PositiveIntegerField(
        "poll interval (seconds)",
        default=30,
        help_text="So long after one look at a source it is looked at again.",
    )
    allow_local_sources = models.BooleanField(
        default=False,
        help_text=(
            "Allow sources on the machine that reads them: paths of its disk, and addresses that "
            "lead to itself, such as https://localhost and 127.0.0.1. Whoever may name a source "
            "can then read repositories there."
        ),
    )
    allow_http_sources = models.BooleanField(
        default=False, help_text="Allow sources over plain http, without any protection."
    )
    read_timeout_s = models.PositiveIntegerField(
        "read timeout (seconds)",
        default=60,
        db_default=60,
        validators=[MinValueValidator(1)],
        help_text="Reading a belt file from its repository may take so long.",
    )
    repository_limit_bytes = models.PositiveBigIntegerField(
        "repository limit (bytes)",
        default=8 * 1024**3,
        db_default=8 * 1024**3,
        validators=[MinValueValidator(1024**2)],
        help_text="A repository may take so much on the disk of each machine.",
    )
    max_chain_depth = models.PositiveIntegerField(
        "longest chain (hops)",
        default=10,
        help_text="From the belt run where it began; a belt that is further away is not started.",
    )
    max_runs_per_root = models.PositiveIntegerField(
        "largest chain (belt runs)",
        default=500,
        help_text="All that one belt run may lead to, with itself; no more are started.",
    )
    log_limit_bytes = models.PositiveBigIntegerField(
        "log limit (bytes)",
        default=64 * 1024 * 1024,
        help_text="Of an attempt; what a job writes beyond is left out, and the log says so.",
    )
    retention_days = models.PositiveIntegerField(
        "retention (days)",
        default=90,
        help_text="Belt runs that ended longer ago are removed; 0 keeps all.",
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="configuration_is_one_row"),
        ]
        verbose_name_plural = "configuration"

    def __str__(self) -> str:
        return "Configuration of this site"
