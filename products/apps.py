"""The products app: products, their sources, credentials and events."""

from __future__ import annotations

from django.apps import AppConfig


class ProductsConfig(AppConfig):
    """Bottom of the import order."""

    name = "products"
