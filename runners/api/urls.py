"""What the runners app adds to the API."""

from __future__ import annotations

from typing import Any

from rest_framework.viewsets import GenericViewSet

from runners.api.views import (
    FleetViewSet,
    RunnerViewSet,
    ServedBeltRunViewSet,
    ServedJobRunViewSet,
)
from runners.unserved import unserved_queues
from runs.api.urls import log_paths

VIEWSETS: dict[str, type[GenericViewSet[Any]]] = {
    "runners": RunnerViewSet,
    "fleets": FleetViewSet,
    "belt-runs": ServedBeltRunViewSet,
    "job-runs": ServedJobRunViewSet,
}

urlpatterns = log_paths(unserved_queues)
