"""The URL path converter for names of products, belts and jobs."""

from __future__ import annotations

from django.urls import register_converter

from products.names import NAME_PATTERN


class NameConverter:
    """Matches a name as ``products.names`` has it, so that no view sees anything else."""

    regex = NAME_PATTERN

    def to_python(self, value: str) -> str:
        """Return the name."""
        return value

    def to_url(self, value: str) -> str:
        """Return the name."""
        return value


register_converter(NameConverter, "name")
