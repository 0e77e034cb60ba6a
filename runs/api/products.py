"""Products with their last belt run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet

from products.api.serializers import ProductSerializer
from products.api.views import ProductViewSet
from products.models import Product
from runs.api.serializers import BeltRunRefSerializer
from runs.recent_runs import last_runs


class ProductWithRunSerializer(ProductSerializer):
    """A product; ``source`` is null without a repository, ``last_run`` before the first run."""

    last_run = BeltRunRefSerializer(read_only=True, allow_null=True)

    class Meta(ProductSerializer.Meta):
        fields = [*ProductSerializer.Meta.fields, "last_run"]
        read_only_fields = fields


class ProductWithRunViewSet(ProductViewSet):
    """Products that you may see, each with its last belt run."""

    one = "A product, by its name, with its source and its last belt run."
    serializer_class = ProductWithRunSerializer

    def paginate_queryset(self, queryset: QuerySet[Any] | Sequence[Any]) -> Any:
        """Return a page of products, with the last run of each."""
        return _with_last_runs(super().paginate_queryset(queryset) or [])

    def get_object(self) -> Product:
        """Return the product that the path names, with its last run."""
        [product] = _with_last_runs([super().get_object()])
        return product


def _with_last_runs(products: Sequence[Product]) -> Sequence[Product]:
    """Give each product ``last_run``; two queries."""
    runs = last_runs(products)
    for product in products:
        product.last_run = runs.get(product.pk)  # type: ignore[attr-defined]  # read by the serializer
    return products
