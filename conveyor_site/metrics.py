"""/metrics for Prometheus, read from indexes.

The library prometheus-client writes the format. Final states are not counted, because
their number grows without limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Min
from django.http import HttpResponse
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from products.api.scoped import sees_everything
from products.models import OutboxRow
from runners.models import Runner
from runners.presence import runners_with_state
from runs.models import BeltRun, JobRun
from runs.states import BELT_FINISHED, UNFINISHED, BeltRunState, JobRunState

_UNFINISHED_BELTS = sorted(set(BeltRunState) - BELT_FINISHED)


class SiteCollector(Collector):
    """Measures the site at each request."""

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the gauges of the site; ages are in seconds."""
        return gauges()


class SentenceRenderer(BaseRenderer):
    """Renders an error as a comment of the format."""

    media_type = "text/plain"
    format = "prometheus"
    charset = "utf-8"

    def render(self, data: Any, *args: object, **kwargs: object) -> str:
        """Return the sentence of the error."""
        return f"# {data.get('message', '')}\n"


class MetricsView(APIView):
    """The gauges of the site, for staff, because they cover all products."""

    scope = "read"
    renderer_classes = [SentenceRenderer]
    schema = None

    def perform_content_negotiation(
        self, request: Request, force: bool = False
    ) -> tuple[BaseRenderer, str]:
        """Refuse no Accept header: the library answers each with a format that it knows."""
        return SentenceRenderer(), SentenceRenderer.media_type

    def get(self, request: Request) -> HttpResponse:
        """Return the gauges in the format that the caller prefers."""
        if not sees_everything(request):
            self.permission_denied(
                request,
                "Metrics tell of all products: staff may read them, by a token that is for all.",
            )
        text, content_type = _encoded(request.headers.get("Accept", ""))
        return HttpResponse(text, content_type=content_type)


def _encoded(accept: str) -> tuple[bytes, str]:
    """Return the gauges and their content type by an Accept header, which may be nonsense."""
    try:
        encode, content_type = choose_encoder(accept)
        return encode(SiteCollector()), content_type
    except (TypeError, ValueError):  # of a version or an escaping that the library cannot read
        encode, content_type = choose_encoder("")
        return encode(SiteCollector()), content_type


def gauges() -> Iterator[GaugeMetricFamily]:
    """Yield what the site measures of itself; ages are in seconds."""
    now = timezone.now()
    states = _counts(JobRun.objects.filter(state__in=UNFINISHED), "state")
    yield _gauge(
        "conveyor_job_runs",
        "Unfinished job runs by state.",
        {state: states.get(state, 0) for state in sorted(UNFINISHED)},
        label="state",
    )
    belt_states = _counts(BeltRun.objects.filter(state__in=_UNFINISHED_BELTS), "state")
    yield _gauge(
        "conveyor_belt_runs",
        "Unfinished belt runs by state.",
        {state: belt_states.get(state, 0) for state in _UNFINISHED_BELTS},
        label="state",
    )
    yield from _queues(now)
    yield from _runners()
    yield from _outbox(now)


def _gauge(name: str, text: str, values: dict[str, float], *, label: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for each, value in values.items():
        family.add_metric([each], value)
    return family


def _counts(rows: Any, field: str) -> dict[str, int]:
    return dict(rows.order_by().values_list(field).annotate(number=Count("pk")))


def _queues(now: datetime) -> Iterator[GaugeMetricFamily]:
    queued = JobRun.objects.filter(state=JobRunState.QUEUED).order_by()
    rows = list(queued.values("queue").annotate(number=Count("pk"), oldest=Min("queued_at")))
    yield _gauge(
        "conveyor_queue_length",
        "Queued job runs by queue.",
        {row["queue"]: row["number"] for row in rows},
        label="queue",
    )
    yield _gauge(
        "conveyor_queue_age_seconds",
        "How long the oldest queued job run of a queue has waited.",
        {row["queue"]: _age(row["oldest"], now) for row in rows},
        label="queue",
    )


def _runners() -> Iterator[GaugeMetricFamily]:
    rows = list(runners_with_state().values_list("state", "slots"))
    yield _gauge(
        "conveyor_runners",
        "Runners by state.",
        {state: sum(found == state for found, _ in rows) for state in Runner.State.values},
        label="state",
    )
    online = sum(slots for found, slots in rows if found == Runner.State.ONLINE)
    yield GaugeMetricFamily("conveyor_slots", "Slots of the runners that are online.", online)


def _outbox(now: datetime) -> Iterator[GaugeMetricFamily]:
    sums = OutboxRow.objects.filter(due_at__lte=now).aggregate(
        number=Count("pk"), oldest=Min(F("due_at"))
    )
    yield GaugeMetricFamily(
        "conveyor_outbox_due", "Rows of the outbox that are due.", sums["number"]
    )
    yield GaugeMetricFamily(
        "conveyor_outbox_age_seconds",
        "How long the oldest due row of the outbox has been due.",
        _age(sums["oldest"], now),
    )


def _age(since: datetime | None, now: datetime) -> float:
    return max((now - since).total_seconds(), 0.0) if since else 0.0
