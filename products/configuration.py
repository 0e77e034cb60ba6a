"""The site's configuration as one object."""

from __future__ import annotations

from django.conf import settings

from products.models import Configuration
from products.site_address import served_address
from products.statements import SelectOne


def current() -> Configuration:
    """Return the site's configuration: the stored row, or the defaults where there is none."""
    return _CURRENT.get() or Configuration()


_CURRENT = SelectOne(
    Configuration, lambda columns: Configuration.objects.filter(pk=1).values_list(*columns)
)


def public_url() -> str:
    """Return the address at which people reach this site, without a slash at its end.

    The admin's comes first, then CONVEYOR_PUBLIC_URL, then where the site is served now.
    """
    chosen = current().public_url
    if not chosen and not settings.CONVEYOR_PUBLIC_URL_GIVEN:
        chosen = served_address()
    return (chosen or str(settings.CONVEYOR_PUBLIC_URL)).rstrip("/")
