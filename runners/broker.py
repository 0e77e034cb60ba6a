"""Where the queue is: the URL that was configured, or an embedded one that someone must start."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings

from runners.errors import NoQueueError

_starters: list[Callable[[], str]] = []


def use_embedded_queue(start: Callable[[], str]) -> None:
    """Set what starts the embedded queue, if need be, and returns its URL.

    The site does so when Django starts; this app knows no site.
    """
    _starters[:] = [start]


def is_embedded() -> bool:
    """Return whether no broker is configured."""
    return not settings.CONVEYOR_BROKER_URL


def broker_url() -> str:
    """Return the broker's URL, after starting the embedded queue where there is no other.

    Raises NoQueueError when there is neither.
    """
    if settings.CONVEYOR_BROKER_URL:
        return str(settings.CONVEYOR_BROKER_URL)
    if not _starters:
        raise NoQueueError
    return _starters[0]()
