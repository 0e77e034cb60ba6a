"""The products app: products, their sources, credentials and events."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import Tags, register

from products.checks import check_keys


class ProductsConfig(AppConfig):
    """Bottom of the import order."""

    name = "products"

    def ready(self) -> None:
        """Register the system checks."""
        register(check_keys, Tags.security)
