"""CONVEYOR_BROKER_URL: one URL of a queue, as Celery has it."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from kombu.transport import TRANSPORT_ALIASES


def checked_broker_url(url: str) -> str:
    """Return the URL; empty stands for the embedded queue.

    Raises ImproperlyConfigured for one that no queue will ever answer. The URL is not in the
    sentence, for it may hold a password.
    """
    scheme = url.partition("://")[0] if "://" in url else ""
    if url and scheme.partition("+")[0] not in TRANSPORT_ALIASES:
        raise ImproperlyConfigured(
            f"CONVEYOR_BROKER_URL starts with {scheme or 'no scheme'}; use "
            "redis://:PASSWORD@HOST:PORT/0, sqs:// or amqp://USER:PASSWORD@HOST:PORT//."
        )
    return url
