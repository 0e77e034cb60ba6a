"""Where the files of other products come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from belts.spec.shapes import BeltFile


class Catalogue(Protocol):
    """The products that are known."""

    def product(self, name: str) -> BeltFile | None:
        """Return the present file of the product ``name``, None when there is no such product."""


@dataclass(frozen=True, slots=True)
class NoCatalogue:
    """No other product is known."""

    def product(self, name: str) -> BeltFile | None:
        """Return None for every name."""
        return None
