"""The runners app: fleets, runners and the execution of claimed attempts."""

from __future__ import annotations

from django.apps import AppConfig


class RunnersConfig(AppConfig):
    """See ARCHITECTURE.md for its place in the import order."""

    name = "runners"
