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
        blank=True, default="", help_text="Empty means CONVEYOR_PUBLIC_URL."
    )
    default_queue = models.CharField(max_length=63, default="default", validators=[validate_queue])
    default_timeout_s = models.PositiveIntegerField(
        default=3600, validators=[MinValueValidator(1)], help_text="Of a job, in seconds."
    )
    max_timeout_s = models.PositiveIntegerField(default=86400)
    queue_limit_s = models.PositiveIntegerField(
        default=86400, help_text="A job queued for longer than so many seconds ends as errored."
    )
    poll_interval_s = models.PositiveIntegerField(
        default=30, help_text="How often a source is looked at, in seconds."
    )
    allow_local_sources = models.BooleanField(
        default=False, help_text="Allow sources that are paths on the orchestrator's machine."
    )
    allow_http_sources = models.BooleanField(
        default=False, help_text="Allow sources over plain http, without any protection."
    )
    read_timeout_s = models.PositiveIntegerField(
        default=60,
        db_default=60,
        validators=[MinValueValidator(1)],
        help_text="Reading a belt file from its repository may take so many seconds.",
    )
    repository_limit_bytes = models.PositiveBigIntegerField(
        default=8 * 1024**3,
        db_default=8 * 1024**3,
        validators=[MinValueValidator(1024**2)],
        help_text="A repository may have so many bytes on the disk of each machine.",
    )
    max_chain_depth = models.PositiveIntegerField(default=10)
    max_runs_per_root = models.PositiveIntegerField(default=500)
    log_limit_bytes = models.PositiveBigIntegerField(default=64 * 1024 * 1024)
    retention_days = models.PositiveIntegerField(
        default=90, help_text="Belt runs that ended longer ago are removed; 0 keeps all."
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="configuration_is_one_row"),
        ]
        verbose_name_plural = "configuration"

    def __str__(self) -> str:
        return "Configuration of this site"
