"""Which version this is; packing writes it into the package."""

from __future__ import annotations

import pkgutil


def version() -> str:
    """Return the version of the package, or that there is none."""
    try:
        packed = pkgutil.get_data("service", "version.txt")
    except FileNotFoundError:
        packed = None
    return packed.decode().strip() if packed else "unpacked"
