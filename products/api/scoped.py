"""The base of all API views: a declared scope, and only rows that the caller may see."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Model, QuerySet
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.generics import GenericAPIView
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.serializers import Serializer
from rest_framework.viewsets import GenericViewSet

from products.api.fields import PlainJSONParser
from products.api.requests import NoFilters, StrictSerializer, valid_query
from products.models import Product
from products.querysets import ProductQuerySet
from products.tokens import TokenUse

#: Query parameters that pagination and renderers read.
_READ_BY_OTHERS = ("page_size", "cursor", "format")


def visible_products(request: Request) -> ProductQuerySet:
    """Return the products that the caller may see: the user's, within the token's list."""
    return _within_token(Product.objects.visible_to(request.user), request)


def operable_products(request: Request) -> ProductQuerySet:
    """Return the products whose belts the caller may start, cancel and rerun."""
    return _within_token(Product.objects.operable_by(request.user), request)


def sees_everything(request: Request) -> bool:
    """Return whether the caller sees all products."""
    limited = isinstance(request.auth, TokenUse) and request.auth.product_ids is not None
    return bool(request.user.is_staff) and not limited


def require_operator(request: Request, product: Product) -> None:
    """Raise PermissionDenied unless the caller may start, cancel and rerun the product's belts."""
    if not operable_products(request).filter(pk=product.pk).exists():
        raise PermissionDenied(
            f"You may see the product {product.name}, but not start, cancel or rerun its belts. "
            "Staff can give you the role operator in the admin, under Memberships."
        )


def _within_token(products: ProductQuerySet, request: Request) -> ProductQuerySet:
    limits = request.auth.product_ids if isinstance(request.auth, TokenUse) else None
    return products if limits is None else products.filter(id__in=limits)


class ScopedView(GenericAPIView[Any]):
    """A view with a scope (see ``conveyor_site.auth``) over rows of visible products.

    ``product_path`` leads from the model to its product, as in ``belt__product``; empty for the
    product itself, None for rows that belong to no product and that every user may see.
    """

    scope: str | None = None
    parser_classes = [PlainJSONParser]
    product_path: ClassVar[str | None] = None
    missing = "Nothing at this address is visible to you."

    def visible(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return those of the rows that the caller may see."""
        if self.product_path is None or sees_everything(self.request):
            return rows
        allowed = visible_products(self.request).values("id")
        lookup = f"{self.product_path}__in" if self.product_path else "id__in"
        return rows.filter(**{lookup: allowed})

    def get_queryset(self) -> QuerySet[Any]:
        """Return the rows of the view that the caller may see."""
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset().none()
        return self.visible(super().get_queryset())

    def found(self, rows: QuerySet[Any], **by: Any) -> Any:
        """Return the visible row; raises NotFound with a sentence."""
        row: Model | None = self.visible(rows).filter(**by).first()
        if row is None:
            raise NotFound(self.missing)
        return row


class ReadViewSet(ScopedView, ListModelMixin, RetrieveModelMixin, GenericViewSet[Any]):
    """List and detail of a model; the list is narrowed by the query parameters of ``filters``.

    ``filters`` names fields of the query string; a validated one narrows by the lookup that is
    its ``source``. The class's docstring describes the list, and ``one`` a row of it.
    """

    scope = "read"
    one: ClassVar[str] = ""
    lookup_value_converter = "uuid"
    filters: ClassVar[type[StrictSerializer]] = NoFilters
    detail_serializer_class: ClassVar[type[Serializer[Any]] | None] = None

    def get_serializer_class(self) -> type[Any]:
        """Return the serializer of the detail, or of the list."""
        if self.action == "retrieve" and self.detail_serializer_class is not None:
            return self.detail_serializer_class
        return super().get_serializer_class()

    def get_view_description(self, html: bool = False) -> str:
        """Return the description of the address."""
        is_one = self.action == "retrieve"
        return self.sentence_of_one() if is_one else super().get_view_description(html)

    @classmethod
    def sentence_of_one(cls) -> str:
        """Return the description of the address of a row."""
        what: Any = cls.queryset.model._meta.verbose_name if cls.queryset is not None else "row"
        key = cls.lookup_field if cls.lookup_field != "pk" else "id"
        return cls.one or f"A {what}, by its {key}."

    def get_object(self) -> Any:
        """Return the row that the path names; raises NotFound with a sentence."""
        return self.found(
            self.get_queryset(), **{self.lookup_field: self.kwargs[self.lookup_field]}
        )

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows that fit the query; raises ValidationError for a value that cannot."""
        if self.action != "list":
            return queryset
        return queryset.filter(**valid_query(self.request, self.filters, besides=_READ_BY_OTHERS))
