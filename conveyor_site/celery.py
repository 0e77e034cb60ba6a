"""The Celery app as the ``celery`` command finds it: ``celery -A conveyor_site.celery ...``.

The app itself is ``runners.celery_app``; this module adds what belongs to the site: where results
of housekeeping tasks are kept, and that a task begins and ends without an old connection.
"""

from __future__ import annotations

from typing import Any

from celery.signals import task_postrun, task_prerun
from django.db import close_old_connections

from conveyor_site.embedded import ensure_embedded_queue
from runners.broker import use_embedded_queue
from runners.celery_app import app

__all__ = ["app"]

app.conf.update(
    # Operators see housekeeping tasks in the admin; own batches expire the rows, not Celery.
    result_backend="django-db",
    result_extended=True,
    result_expires=None,
    imports=["conveyor_site.tasks", "runners.tasks"],
)
use_embedded_queue(ensure_embedded_queue)


@task_prerun.connect
@task_postrun.connect
def _forget_old_connections(**_facts: Any) -> None:
    close_old_connections()
