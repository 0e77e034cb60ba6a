"""Models of the products app, one noun (or one tight family) to a file."""

from __future__ import annotations

from products.models.configuration import Configuration
from products.models.credential import Credential
from products.models.duty import Duty
from products.models.event import Event
from products.models.outbox import OutboxRow
from products.models.product import Membership, Product
from products.models.source import SeenRef, Source
from products.models.token import ApiToken

__all__ = [
    "ApiToken",
    "Configuration",
    "Credential",
    "Duty",
    "Event",
    "Membership",
    "OutboxRow",
    "Product",
    "SeenRef",
    "Source",
]
