"""Reads of runners and fleets, and of runs beside the runners that they wait for."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from products.api.scoped import ReadViewSet, sees_everything, visible_products
from runners.api.serializers import FleetSerializer, RunnerSerializer
from runners.models import Fleet
from runners.presence import fleets_of_products, runners_with_state
from runners.unserved import unserved_queues
from runs.api.views import BeltRunViewSet, JobRunViewSet


class RunnerViewSet(ReadViewSet):
    """Runners, whoever they work for."""

    queryset = runners_with_state()
    serializer_class = RunnerSerializer
    missing = "There is no runner with this id."


class FleetViewSet(ReadViewSet):
    """Fleets that some product which you may see may use."""

    queryset = Fleet.objects.order_by("name")
    serializer_class = FleetSerializer
    missing = "There is no fleet with this id that you may see."

    def visible(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the fleets that a visible product may use, all for staff."""
        if sees_everything(self.request):
            return rows
        return rows.filter(id__in=fleets_of_products(visible_products(self.request)).values("id"))


class ServedBeltRunViewSet(BeltRunViewSet):
    """Belt runs of products that you may see, newest first."""

    unserved_queues = staticmethod(unserved_queues)


class ServedJobRunViewSet(JobRunViewSet):
    """Job runs of products that you may see, newest first."""

    unserved_queues = staticmethod(unserved_queues)
