"""Products, sources, credentials and events."""

from __future__ import annotations

import hashlib
from typing import Any

from products.models import Credential, Event, Product, Source
from tests.builders.names import named, number


def a_product(name: str | None = None, **fields: Any) -> Product:
    """Return a product; admin-managed unless told otherwise."""
    return Product.objects.create(name=named(name, "product"), **fields)


def a_source(product: Product | None = None, **fields: Any) -> Source:
    """Return the source of a product."""
    given = {"url": "https://git.example/acme/thing.git", "default_branch": "main", **fields}
    return Source.objects.create(product=product or a_product(), **given)


def a_credential(*products: Product, name: str | None = None, **fields: Any) -> Credential:
    """Return a credential of those products, without a value."""
    credential = Credential.objects.create(name=named(name, "credential"), **fields)
    credential.products.set(products)
    return credential


def an_event(product: Product | None = None, **fields: Any) -> Event:
    """Return an event: a new commit on the default branch unless told otherwise."""
    commit = hashlib.sha256(str(number()).encode()).hexdigest()[:40]
    given = {
        "kinds": ["push", "merge"],
        "key": f"refs/heads/main@{commit}",
        "ref": "refs/heads/main",
        "branch": "main",
        "commit": commit,
        **fields,
    }
    return Event.objects.create(product=product or a_product(), **given)
