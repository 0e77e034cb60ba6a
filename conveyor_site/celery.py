"""The Celery app as the ``celery`` command finds it: ``celery -A conveyor_site.celery ...``.

The app itself is ``runners.celery_app``; this module adds what belongs to the site: where results
of housekeeping tasks are kept, and that a task begins and ends without an old connection.
"""

from __future__ import annotations

import os
from typing import Any

import django
from celery.signals import task_postrun, task_prerun
from django.apps import apps
from django.db import close_old_connections

from runners.celery_app import app, connect

__all__ = ["app"]

app.conf.update(
    # Operators see housekeeping tasks in the admin; own batches expire the rows, not Celery.
    result_backend="django-db",
    result_extended=True,
    result_expires=None,
    imports=["conveyor_site.tasks"],
)


@task_prerun.connect
@task_postrun.connect
def _forget_old_connections(**_facts: Any) -> None:
    close_old_connections()


if not apps.ready:
    # The ``celery`` command knows nothing of Django.
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "conveyor_site.settings")
    django.setup()
    connect()
