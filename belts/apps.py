"""The belts app: definitions, belts, jobs and triggers."""

from __future__ import annotations

from django.apps import AppConfig


class BeltsConfig(AppConfig):
    """See ARCHITECTURE.md for its place in the import order."""

    name = "belts"
