"""CONVEYOR_BROKER_URL: one URL of a queue, as Celery has it."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from kombu.transport import TRANSPORT_ALIASES

from conveyor_site.service_url import require_readable, scheme_of

SETTING = "CONVEYOR_BROKER_URL"


def checked_broker_url(url: str) -> str:
    """Return the URL; empty stands for the embedded queue.

    Raises ImproperlyConfigured for one that no queue will ever answer. The URL is not in the
    sentence, for it may hold a password.
    """
    if not url:
        return url
    scheme = scheme_of(url)
    if scheme.partition("+")[0] not in TRANSPORT_ALIASES:
        raise ImproperlyConfigured(
            f"{SETTING} starts with {scheme or 'no scheme'}; use redis://:PASSWORD@HOST:PORT/0, "
            "sqs:// or amqp://USER:PASSWORD@HOST:PORT//."
        )
    # Celery takes several URLs with semicolons between, and a raw one in a password for such.
    for each in url.split(";"):
        require_readable(each if scheme_of(each) else "#", SETTING)
    return url
