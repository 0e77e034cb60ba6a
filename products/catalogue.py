"""Making products, and taking them out of service without losing what they did."""

from __future__ import annotations

from django.db import transaction
from django.db.models.functions import Now

from products.models import Product, Source


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
