"""The site itself: it imports all apps and nobody imports it."""

from __future__ import annotations

from django.apps import AppConfig


class ConveyorSiteConfig(AppConfig):
    """Connects the receivers of the one signal."""

    name = "conveyor_site"
