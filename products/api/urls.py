"""What the products app adds to the API."""

from __future__ import annotations

from typing import Any

from rest_framework.viewsets import GenericViewSet

from products.api.views import CredentialViewSet, EventViewSet
from products.path_names import NameConverter

VIEWSETS: dict[str, type[GenericViewSet[Any]]] = {
    "events": EventViewSet,
    "credentials": CredentialViewSet,
}

__all__ = ["VIEWSETS", "NameConverter"]
