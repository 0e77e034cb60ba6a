"""The site's configuration as one object."""

from __future__ import annotations

from django.conf import settings

from products.models import Configuration


def current() -> Configuration:
    """Return the site's configuration: the stored row, or the defaults where there is none."""
    return Configuration.objects.filter(pk=1).first() or Configuration()


def public_url() -> str:
    """Return the address at which people reach this site, without a slash at its end."""
    return (current().public_url or str(settings.CONVEYOR_PUBLIC_URL)).rstrip("/")
