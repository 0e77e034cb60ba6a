"""The Celery app. It carries hints to runners and housekeeping to orchestrators, nothing else.

The site's module ``conveyor_site.celery`` shows it to the ``celery`` command.
"""

from __future__ import annotations

from collections.abc import Iterable

from celery import Celery
from kombu import Connection

from runners.broker import broker_url
from runners.settings_block import CELERY_SETTINGS, SYSTEM_QUEUE, queue_of
from runners.site_mark import options_of_site

#: No fix-ups: Celery's own for Django runs all system checks, and opens the database, in every
#: worker; a doorbell has no use for either.
app = Celery("conveyor", fixups=[], set_as_current=True)
app.config_from_object(dict(CELERY_SETTINGS))


def connect(queues: Iterable[str] = ()) -> str:
    """Point the app at the broker and declare ``queues`` beside the system's; return the URL.

    Raises NoQueueError where there is no broker, and DatabaseError where the site's mark is not
    known yet and cannot be read.
    """
    url = broker_url()
    app.conf.update(
        broker_url=url,
        broker_transport_options=options_of_site(url),
        task_queues=[queue_of(name) for name in sorted({SYSTEM_QUEUE, *queues})],
    )
    return url


def preload(url: str) -> None:
    """Import what a first message needs, so that forked children share it and lose no time.

    Connects to nothing; ``url`` is the broker's. Raises what the transport's driver raises.
    """
    app.finalize()
    Connection(url).get_transport_cls()
    # Both are made when they are asked for.
    for name in ("amqp", "backend"):
        getattr(app, name)
