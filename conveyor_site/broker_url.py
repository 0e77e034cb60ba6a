"""CONVEYOR_BROKER_URL: check that it is the URL of a queue that Celery supports."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from kombu.transport import TRANSPORT_ALIASES

from conveyor_site.service_url import require_readable, scheme_of

SETTING = "CONVEYOR_BROKER_URL"


def checked_broker_url(url: str) -> str:
    """Return the URL; an empty one means the embedded queue.

    Raises ImproperlyConfigured for a URL that no queue can have. The message does not contain the
    URL, which may have a password in it.
    """
    if not url:
        return url
    scheme = scheme_of(url)
    if scheme.partition("+")[0] not in TRANSPORT_ALIASES:
        raise ImproperlyConfigured(
            f"{SETTING} starts with {scheme or 'no scheme'}, which is not a queue that Conveyor "
            "supports. Use redis://:PASSWORD@HOST:PORT/0, sqs:// or "
            "amqp://USER:PASSWORD@HOST:PORT//."
        )
    # Celery splits the setting at semicolons into several URLs, also at one in a password.
    for each in url.split(";"):
        require_readable(each if scheme_of(each) else "#", SETTING)
    return url
