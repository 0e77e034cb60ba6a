"""API tokens: issuing them, and finding out whose they are.

A token is ``cvy_`` and 256 random bits; only its SHA-256 is stored, so it is shown once.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from products.errors import UserError
from products.models import ApiToken, Product

PREFIX = "cvy_"
DEFAULT_DAYS = 90
MAX_DAYS = 365
#: Each scope with what it allows; who may run may also look.
SCOPES: dict[str, frozenset[str]] = {
    "read": frozenset({"read"}),
    "run": frozenset({"read", "run"}),
}
_SHOWN = 12
_LONGEST = 100
_USE_NOTED_EVERY = timedelta(minutes=1)


class TokenLifeError(UserError):
    """A token was asked for that would live too long, or not at all."""

    code = "token.life"

    def __init__(self, days: int) -> None:
        super().__init__(
            f"A token lives for 1 to {MAX_DAYS} days, not for {days}. Ask for fewer days and "
            "make a new token before it ends."
        )


class TokenScopeError(UserError):
    """A token was asked for with a scope that does not exist, or with none."""

    code = "token.scope"

    def __init__(self, scopes: Collection[str]) -> None:
        known = ", ".join(SCOPES)
        asked = ", ".join(sorted(scopes)) or "none"
        super().__init__(f"A token needs scopes out of: {known}. Asked for: {asked}.")


class TokenProductsError(UserError):
    """A token was asked for that reaches all products, and some of them as well."""

    code = "token.products"

    def __init__(self) -> None:
        super().__init__(
            "A token reaches either every product of its user or only some of them. Name the "
            "products, or ask for all."
        )


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token: its row, and its text, which cannot be had again."""

    row: ApiToken
    text: str


@dataclass(frozen=True, slots=True)
class TokenUse:
    """A valid token as a request uses it.

    ``scopes`` are all that it allows; ``product_ids`` are the only products that it reaches, an
    empty set for none, and None for all that its user may see.
    """

    id: UUID
    name: str
    user: Any
    scopes: frozenset[str]
    product_ids: frozenset[UUID] | None


@transaction.atomic
def issue_token(
    user: User,
    *,
    name: str,
    scopes: Collection[str] = ("read",),
    all_products: bool = False,
    products: Iterable[Product] = (),
    days: int = DEFAULT_DAYS,
) -> IssuedToken:
    """Make a token of ``user`` that ends after ``days`` days.

    It reaches only ``products``, of which there may be none, or with ``all_products`` every product
    that the user may see. Raises TokenScopeError, TokenLifeError and TokenProductsError.
    """
    limits = list(products)
    if not scopes or not set(scopes) <= SCOPES.keys():
        raise TokenScopeError(scopes)
    if not 1 <= days <= MAX_DAYS:
        raise TokenLifeError(days)
    if all_products and limits:
        raise TokenProductsError
    text = PREFIX + secrets.token_urlsafe(32)
    row = ApiToken(
        user=user,
        name=name,
        prefix=text[:_SHOWN],
        digest=_digest(text),
        scopes=sorted(set(scopes)),
        all_products=all_products,
        expires_at=Now() + timedelta(days=days),
    )
    row.save()
    row.products.set(limits)
    row.refresh_from_db()
    return IssuedToken(row=row, text=text)


def authenticate(text: str) -> TokenUse | None:
    """Return whose token this is and what it allows, or None for one that is not valid now.

    That it was used is noted once a minute.
    """
    if not text.startswith(PREFIX) or len(text) > _LONGEST:
        return None
    valid = ApiToken.objects.filter(
        digest=_digest(text), expires_at__gt=Now(), user__is_active=True
    )
    row = valid.select_related("user").first()
    if row is None:
        return None
    ApiToken.objects.filter(
        Q(used_at__isnull=True) | Q(used_at__lt=Now() - _USE_NOTED_EVERY), pk=row.pk
    ).update(used_at=Now())
    limits = None if row.all_products else frozenset(row.products.values_list("id", flat=True))
    allowed = frozenset[str]().union(*(SCOPES.get(scope, frozenset()) for scope in row.scopes))
    return TokenUse(id=row.id, name=row.name, user=row.user, scopes=allowed, product_ids=limits)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
