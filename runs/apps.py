"""The runs app: belt runs, job runs, attempts, outputs and logs."""

from __future__ import annotations

from django.apps import AppConfig


class RunsConfig(AppConfig):
    """See ARCHITECTURE.md for its place in the import order."""

    name = "runs"
