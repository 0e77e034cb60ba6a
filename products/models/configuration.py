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
        help_text="Address of this site in links. Empty means the address in CONVEYOR_PUBLIC_URL.",
    )
    default_queue = models.CharField(
        max_length=63,
        default="default",
        validators=[validate_queue],
        help_text="Queue of jobs that name none.",
    )
    default_timeout_s = models.PositiveIntegerField(
        "default timeout (seconds)",
        default=3600,
        validators=[MinValueValidator(1)],
        help_text="Maximum duration of a job that names no timeout.",
    )
    max_timeout_s = models.PositiveIntegerField(
        "longest timeout (seconds)",
        default=86400,
        help_text="Maximum duration of any job. It also limits the timeouts in belt files.",
    )
    queue_limit_s = models.PositiveIntegerField(
        "queue limit (seconds)",
        default=86400,
        help_text="Maximum time in the queue. A job that waits longer ends as errored.",
    )
    poll_interval_s = models.PositiveIntegerField(
        "poll interval (seconds)",
        default=30,
        help_text="Seconds between two checks of a source for new commits.",
    )
    allow_local_sources = models.BooleanField(
        default=False,
        help_text=(
            "Allow sources on the machine that reads them: paths of its disk, and addresses of "
            "itself, such as https://localhost and 127.0.0.1. Everyone who can set a source can "
            "then read those repositories."
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
        help_text="Maximum time for reading a belt file from its repository.",
    )
    repository_limit_bytes = models.PositiveBigIntegerField(
        "repository limit (bytes)",
        default=8 * 1024**3,
        db_default=8 * 1024**3,
        validators=[MinValueValidator(1024**2)],
        help_text="Maximum size of a repository on the disk of each machine.",
    )
    max_chain_depth = models.PositiveIntegerField(
        "longest chain (hops)",
        default=10,
        help_text="Maximum number of hops from the first belt run. Belts beyond it are not "
        "started.",
    )
    max_runs_per_root = models.PositiveIntegerField(
        "largest chain (belt runs)",
        default=500,
        help_text="Maximum number of belt runs in one chain. No more are started.",
    )
    log_limit_bytes = models.PositiveBigIntegerField(
        "log limit (bytes)",
        default=64 * 1024 * 1024,
        help_text="Maximum size of the log of an attempt. The log ends with a notice where it is "
        "cut.",
    )
    retention_days = models.PositiveIntegerField(
        "retention (days)",
        default=90,
        help_text="Belt runs are removed after this time. 0 keeps all.",
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="configuration_is_one_row"),
        ]
        verbose_name_plural = "configuration"

    def __str__(self) -> str:
        return "Configuration of this site"
