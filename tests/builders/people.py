"""Users, members and tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.utils import timezone

from products.models import ApiToken, Membership, Product
from tests.builders.names import named, number


def a_user(name: str | None = None, *, staff: bool = False, **fields: Any) -> User:
    """Return a user without a password (``client.force_login`` takes it)."""
    return get_user_model().objects.create(
        username=named(name, "user"), is_staff=staff, is_superuser=staff, **fields
    )


def a_member(product: Product, role: str = "operator", *, name: str | None = None) -> User:
    """Return a user who has that role in the product."""
    user = a_user(name)
    Membership.objects.create(product=product, user=user, role=role)
    return user


def a_token(
    user: User,
    *,
    scopes: Sequence[str] = ("read",),
    products: Sequence[Product] | None = None,
    days: float = 90,
) -> str:
    """Return the text of a token of ``user``.

    It reaches ``products``, None for all; ``days`` may be negative for one that has ended.
    """
    text = f"cvy_{uuid4().hex}{uuid4().hex}"
    row = ApiToken.objects.create(
        user=user,
        name=f"token {number()}",
        prefix=text[:12],
        digest=hashlib.sha256(text.encode()).hexdigest(),
        scopes=list(scopes),
        all_products=products is None,
        expires_at=timezone.now() + timedelta(days=days),
    )
    row.products.set(products or ())
    return text
