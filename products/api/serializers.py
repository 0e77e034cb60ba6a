"""Products, events and credentials as the API shows them."""

from __future__ import annotations

from rest_framework import serializers

from products.api.fields import TextField, WordField
from products.api.requests import StrictSerializer
from products.models import Credential, Event, Product, Source
from products.names import NAME_MAX


class SourceSerializer(serializers.ModelSerializer[Source]):
    """The repository of a product, with the result of its last check."""

    class Meta:
        model = Source
        fields = [
            "url",
            "path",
            "poll",
            "default_branch",
            "head_commit",
            "polled_at",
            "error",
            "warning",
        ]
        read_only_fields = fields


class ProductSerializer(serializers.ModelSerializer[Product]):
    """A product; ``source`` is null without a repository."""

    source = SourceSerializer(read_only=True, allow_null=True)  # type: ignore[assignment]  # a field, which the metaclass takes away

    class Meta:
        model = Product
        fields = ["id", "name", "description", "managed_by", "archived_at", "created_at", "source"]
        read_only_fields = fields


class ProductFilters(StrictSerializer):
    """Filters of the list of products."""

    name = TextField(required=False, max_length=NAME_MAX)
    managed_by = WordField(required=False, choices=Product.Manager.choices)


class EventSerializer(serializers.ModelSerializer[Event]):
    """An event of a source, with its outcome."""

    product = serializers.CharField(source="product.name", read_only=True)
    kinds = serializers.ListField(child=serializers.CharField(), read_only=True)
    before = serializers.CharField(
        source="details.before",
        read_only=True,
        default="",
        help_text="Where the branch or tag was at the poll before; empty for a new one.",
    )

    class Meta:
        model = Event
        fields = [
            "id",
            "product",
            "kinds",
            "origin",
            "ref",
            "branch",
            "commit",
            "before",
            "tainted",
            "created_at",
            "handled_at",
            "outcome",
        ]
        read_only_fields = fields


class OfProductFilters(StrictSerializer):
    """Filter of lists by product."""

    product = TextField(required=False, max_length=NAME_MAX, source="product__name")


class CredentialSerializer(serializers.ModelSerializer[Credential]):
    """Name and kind of a credential; the value is never shown."""

    class Meta:
        model = Credential
        fields = ["id", "name", "kind"]
        read_only_fields = fields
