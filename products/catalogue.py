"""Archiving products, which keeps their runs, and restoring them."""

from __future__ import annotations

from django.db import transaction
from django.db.models.functions import Now

from products.models import Product, Source


def archive_product(product: Product) -> bool:
    """Archive a product, so that its source is not polled; return False if it was archived before.

    Its runs and events stay.
    """
    archived = Product.objects.filter(pk=product.pk, archived_at__isnull=True)
    done = archived.update(archived_at=Now()) == 1
    product.refresh_from_db(fields=["archived_at"])
    return done


def restore_product(product: Product) -> bool:
    """Restore an archived product; return False if it was not archived.

    Commits that its source got meanwhile make no events.
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
