"""System checks of the products app."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error

from products.keys import KeysError, key_ring


def check_keys(**options: Any) -> list[CheckMessage]:
    """Return an error if CONVEYOR_KEYS cannot seal and open credentials."""
    try:
        key_ring()
    except KeysError as error:
        return [Error(str(error), id="products.E001")]
    return []
