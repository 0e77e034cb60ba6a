"""What the runs app adds to the API."""

from __future__ import annotations

from typing import Any

from django.urls import path
from rest_framework.viewsets import GenericViewSet

from runs.api.logs import BeltRunStreamView, JobRunLogStreamView, JobRunLogView
from runs.api.views import AttemptViewSet, StartBeltView

VIEWSETS: dict[str, type[GenericViewSet[Any]]] = {"attempts": AttemptViewSet}

urlpatterns = [
    path("belts/<uuid:pk>/start/", StartBeltView.as_view(), name="belt-start"),
    path("belt-runs/<uuid:pk>/stream/", BeltRunStreamView.as_view(), name="belt-run-stream"),
    path("job-runs/<uuid:pk>/log/", JobRunLogView.as_view(), name="job-run-log"),
    path(
        "job-runs/<uuid:pk>/log/stream/", JobRunLogStreamView.as_view(), name="job-run-log-stream"
    ),
]
