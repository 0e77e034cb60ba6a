"""/metrics in the text format of Prometheus, from what indexes answer at once.

The format: https://prometheus.io/docs/instrumenting/exposition_formats/
Final states are not counted: their number grows with the years.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, F, Min
from django.utils import timezone
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from products.api.scoped import sees_everything
from products.models import OutboxRow
from runners.models import Runner
from runners.presence import runners_with_state
from runs.models import BeltRun, JobRun
from runs.states import BELT_FINISHED, UNFINISHED, BeltRunState, JobRunState

_UNFINISHED_BELTS = sorted(set(BeltRunState) - BELT_FINISHED)


@dataclass(frozen=True, slots=True)
class Sample:
    """One value, with the labels that set it apart from others of its metric."""

    value: float
    labels: tuple[tuple[str, str], ...] = ()

    def line(self, name: str) -> str:
        """Return the sample as a line of the format."""
        given = ",".join(f'{label}="{_escaped(text)}"' for label, text in self.labels)
        return f"{name}{{{given}}} {self.value:g}" if given else f"{name} {self.value:g}"


@dataclass(frozen=True, slots=True)
class Gauge:
    """A metric with all its samples."""

    name: str
    help: str
    samples: tuple[Sample, ...]


class MetricsRenderer(BaseRenderer):
    """Renders gauges."""

    media_type = "text/plain"
    format = "prometheus"
    charset = "utf-8"

    def render(self, data: object, *args: object, **kwargs: object) -> str:
        """Return the exposition text; an error becomes a comment."""
        if isinstance(data, dict):
            return f"# {data.get('message', '')}\n"
        return exposition(data if isinstance(data, list) else [])


class MetricsView(APIView):
    """The gauges of the site, for staff: they tell of all products."""

    scope = "read"
    renderer_classes = [MetricsRenderer]
    schema = None

    def get(self, request: Request) -> Response:
        """Return the gauges."""
        if not sees_everything(request):
            self.permission_denied(
                request,
                "Metrics tell of all products: staff may read them, by a token that is for all.",
            )
        return Response(list(gauges()))


def gauges() -> Iterator[Gauge]:
    """Yield what the site measures of itself; ages are in seconds."""
    now = timezone.now()
    states = _counts(JobRun.objects.filter(state__in=UNFINISHED), "state")
    yield Gauge(
        "conveyor_job_runs",
        "Unfinished job runs by state.",
        tuple(Sample(states.get(state, 0), (("state", state),)) for state in sorted(UNFINISHED)),
    )
    belt_states = _counts(BeltRun.objects.filter(state__in=_UNFINISHED_BELTS), "state")
    yield Gauge(
        "conveyor_belt_runs",
        "Unfinished belt runs by state.",
        tuple(Sample(belt_states.get(each, 0), (("state", each),)) for each in _UNFINISHED_BELTS),
    )
    yield from _queues(now)
    yield from _runners()
    yield from _outbox(now)


def exposition(found: Iterable[Gauge]) -> str:
    """Return the gauges in the text format."""
    lines: list[str] = []
    for gauge in found:
        lines += [f"# HELP {gauge.name} {gauge.help}", f"# TYPE {gauge.name} gauge"]
        lines += [sample.line(gauge.name) for sample in gauge.samples]
    return "\n".join(lines) + "\n"


def _counts(rows: object, field: str) -> dict[str, int]:
    grouped = rows.order_by().values_list(field).annotate(number=Count("pk"))  # type: ignore[attr-defined]  # a queryset of any model
    return dict(grouped)


def _queues(now: datetime) -> Iterator[Gauge]:
    queued = JobRun.objects.filter(state=JobRunState.QUEUED).order_by()
    rows = list(queued.values("queue").annotate(number=Count("pk"), oldest=Min("queued_at")))
    yield Gauge(
        "conveyor_queue_length",
        "Queued job runs by queue.",
        tuple(Sample(row["number"], (("queue", row["queue"]),)) for row in rows),
    )
    yield Gauge(
        "conveyor_queue_age_seconds",
        "How long the oldest queued job run of a queue has waited.",
        tuple(Sample(_age(row["oldest"], now), (("queue", row["queue"]),)) for row in rows),
    )


def _runners() -> Iterator[Gauge]:
    rows = list(runners_with_state().values_list("state", "slots"))
    yield Gauge(
        "conveyor_runners",
        "Runners by state.",
        tuple(
            Sample(sum(found == state for found, _ in rows), (("state", state),))
            for state in Runner.State.values
        ),
    )
    online = sum(slots for found, slots in rows if found == Runner.State.ONLINE)
    yield Gauge("conveyor_slots", "Slots of the runners that are online.", (Sample(online),))


def _outbox(now: datetime) -> Iterator[Gauge]:
    sums = OutboxRow.objects.filter(due_at__lte=now).aggregate(
        number=Count("pk"), oldest=Min(F("due_at"))
    )
    yield Gauge(
        "conveyor_outbox_due", "Rows of the outbox that are due.", (Sample(sums["number"]),)
    )
    yield Gauge(
        "conveyor_outbox_age_seconds",
        "How long the oldest due row of the outbox has been due.",
        (Sample(_age(sums["oldest"], now)),),
    )


def _age(since: datetime | None, now: datetime) -> float:
    return max((now - since).total_seconds(), 0.0) if since else 0.0


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
