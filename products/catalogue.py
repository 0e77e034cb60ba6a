"""Making products, and taking them out of service without losing what they did."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from products.errors import UserError
from products.models import Product, Source
from products.names import validate_name


class ProductNameError(UserError):
    """A product cannot have this name."""

    code = "product.name"


def create_product(
    name: str,
    *,
    description: str = "",
    managed_by: Product.Manager = Product.Manager.ADMIN,
) -> Product:
    """Make a product; raises ProductNameError for a name that is malformed or taken."""
    try:
        validate_name(name)
    except ValidationError as error:
        raise ProductNameError(f"{name[:100]!a} names no product. {error.messages[0]}") from error
    try:
        with transaction.atomic():
            return Product.objects.create(name=name, description=description, managed_by=managed_by)
    except IntegrityError as error:
        raise ProductNameError(
            f"There is a product named {name} already. Choose another name."
        ) from error


def archive_product(product: Product) -> bool:
    """Take a product out of service: its source is not looked at; return False if it was.

    Everything that it did stays.
    """
    archived = Product.objects.filter(pk=product.pk, archived_at__isnull=True)
    done = archived.update(archived_at=Now()) == 1
    product.refresh_from_db(fields=["archived_at"])
    return done


def restore_product(product: Product) -> bool:
    """Put an archived product into service again; return False if it was not archived.

    What its source has by then makes no events.
    """
    with transaction.atomic():
        archived = Product.objects.filter(pk=product.pk, archived_at__isnull=False)
        done = archived.update(archived_at=None) == 1
        if done:
            Source.objects.filter(product=product).update(
                first_seen_at=None, due_at=Now(), claimed_until=None, error=""
            )
    product.refresh_from_db(fields=["archived_at"])
    return done
