"""Who owns a product's definition: its file or the admin, never both."""

from __future__ import annotations

from products.models import Product


def detach(product: Product) -> bool:
    """Hand a file-managed product to the admin; belts, jobs, triggers and runs stay as they are.

    Returns whether anything changed: False when the admin managed it already.
    """
    return _hand_over(product, to=Product.Manager.ADMIN)


def take_over(product: Product) -> bool:
    """Hand a product that the admin manages to its file, which is about to be published.

    Returns whether anything changed: False when its file managed it already.
    """
    return _hand_over(product, to=Product.Manager.FILE)


def _hand_over(product: Product, *, to: Product.Manager) -> bool:
    others = Product.objects.filter(pk=product.pk).exclude(managed_by=to)
    changed = others.update(managed_by=to) > 0
    product.managed_by = to
    return changed
