"""Reads of products, events and credentials."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from products.api.scoped import ReadViewSet, sees_everything, visible_products
from products.api.serializers import (
    CredentialSerializer,
    EventSerializer,
    OfProductFilters,
    ProductFilters,
    ProductSerializer,
)
from products.models import Credential, Event, Product


class ProductViewSet(ReadViewSet):
    """Products that you may see, with their sources."""

    one = "A product, by its name, with its source."
    queryset = Product.objects.select_related("source")
    serializer_class = ProductSerializer
    filters = ProductFilters
    product_path = ""
    lookup_field = "name"
    lookup_value_converter = "name"
    missing = "There is no product of this name that you may see."


class EventViewSet(ReadViewSet):
    """Events of the sources of products that you may see, newest first."""

    one = "An event of a source, with its outcome."
    queryset = Event.objects.select_related("product")
    serializer_class = EventSerializer
    filters = OfProductFilters
    product_path = "product"
    missing = "There is no event with this id that you may see."


class CredentialViewSet(ReadViewSet):
    """Credentials of products that you may see: names and kinds, never values."""

    one = "A credential: its name and kind, never its value."
    queryset = Credential.objects.all()
    serializer_class = CredentialSerializer
    product_path = None
    missing = "There is no credential with this id that you may see."

    def visible(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the credentials that are bound to a visible product, all for staff."""
        if sees_everything(self.request):
            return rows
        bound = Credential.products.through.objects.filter(
            product__in=visible_products(self.request).values("id")
        )
        return rows.filter(id__in=bound.values("credential_id"))
