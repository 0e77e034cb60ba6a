"""Named reads of the belts app."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models

from products.models import Product


class BeltQuerySet(models.QuerySet[Any]):
    """Reads of belts."""

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> BeltQuerySet:
        """Return the belts of the products that ``user`` may look at."""
        return self.filter(product__in=Product.objects.visible_to(user))

    def named(self, product: str, belt: str) -> BeltQuerySet:
        """Return the one belt of that name in that product, with its product."""
        return self.select_related("product").filter(product__name=product, name=belt)
