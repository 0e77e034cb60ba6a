"""What the runs app adds to the API.

Logs of queued jobs warn of queues that no runner serves. Runners belong to a higher app, which
passes a function that returns the served queues.
"""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, path
from rest_framework.viewsets import GenericViewSet

from products.path_names import NameConverter
from runs.api.logs import BeltRunStreamView, JobRunLogStreamView, JobRunLogView
from runs.api.products import ProductWithRunViewSet
from runs.api.views import AttemptViewSet, StartBeltView, StartNamedBeltView
from runs.queue_warnings import UnservedQueues

__all__ = ["VIEWSETS", "NameConverter", "log_paths", "urlpatterns"]

VIEWSETS: dict[str, type[GenericViewSet[Any]]] = {
    "products": ProductWithRunViewSet,
    "attempts": AttemptViewSet,
}

urlpatterns = [
    path("belts/<uuid:pk>/start/", StartBeltView.as_view(), name="belt-start"),
    path(
        "belts/<name:product>.<name:belt>/start/",
        StartNamedBeltView.as_view(),
        name="belt-start-by-name",
    ),
    path("belt-runs/<uuid:pk>/stream/", BeltRunStreamView.as_view(), name="belt-run-stream"),
]


def log_paths(unserved_queues: UnservedQueues) -> list[URLPattern]:
    """Return the paths of logs, which ask which queues are served."""
    log = JobRunLogView.as_view(unserved_queues=unserved_queues)
    stream = JobRunLogStreamView.as_view(unserved_queues=unserved_queues)
    return [
        path("job-runs/<uuid:pk>/log/", log, name="job-run-log"),
        path("job-runs/<uuid:pk>/log/stream/", stream, name="job-run-log-stream"),
    ]
