"""Logs as text and as events, and the events of a chain."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request

from products.api.requests import StrictSerializer, valid_query
from products.api.scoped import ScopedView
from runs.api.requests import (
    MAX_NUMBER,
    ChangesQuery,
    LogQuery,
    LogStreamQuery,
    StreamedEvent,
)
from runs.feeds import ChainEvents, LogEvents, LogText, SentenceText
from runs.models import Attempt, BeltRun, JobRun
from runs.queue_warnings import UnservedQueues, queue_warning
from runs.sentences import instead_of_log
from runs.streaming import event_stream, whole_text


def _last_event_id(kind: Any) -> OpenApiParameter:
    """Return the header that a reader sends when it reconnects."""
    return OpenApiParameter(
        "Last-Event-ID",
        kind,
        OpenApiParameter.HEADER,
        description="The id of the last received event.",
    )


_LAST_SEQUENCE = _last_event_id({"type": "integer", "minimum": 0, "maximum": MAX_NUMBER})
_LAST_VERSION = _last_event_id(OpenApiTypes.STR)


class AnyAccept(BaseContentNegotiation):
    """Ignores the header Accept: a stream has one type, and its errors are JSON."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        """Return the first parser; these requests have no body."""
        return next(iter(parsers))

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        """Return the renderer of errors."""
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)


class StreamView(ScopedView):
    """A streamed answer."""

    scope = "read"
    content_negotiation_class = AnyAccept
    renderer_classes = [JSONRenderer]
    pagination_class = None

    def queried(self, kind: type[StrictSerializer]) -> dict[str, Any]:
        """Return the valid query; raises ValidationError."""
        return valid_query(self.request, kind)


class JobRunLogView(StreamView):
    """The whole log of an attempt of a job run."""

    queryset = JobRun.objects.select_related("reused_from__belt_run")
    product_path = "belt_run__belt__product"
    missing = "There is no job run with this id that you may see."
    unserved_queues: UnservedQueues | None = None

    @extend_schema(parameters=[LogQuery], responses={(200, "text/plain"): OpenApiTypes.STR})
    def get(self, request: Request, pk: UUID) -> StreamingHttpResponse:
        """Return the log as text; the default is that of the newest attempt.

        Without an attempt, the answer is a sentence with the reason.
        """
        job_run = self.found(self.get_queryset(), pk=pk)
        number = self.queried(LogQuery).get("attempt")
        attempt = Attempt.objects.filter(
            job_run=job_run, number=number or job_run.last_attempt
        ).first()
        if attempt is None and number is not None:
            newest = job_run.last_attempt
            known = f"Its newest is attempt {newest}." if newest else "It has no attempt yet."
            raise NotFound(f"{job_run.name} has no attempt {number}. {known}")
        if attempt is not None:
            return whole_text(request._request, LogText(attempt))
        warning = queue_warning(job_run, self.unserved_queues)
        return whole_text(request._request, SentenceText(instead_of_log(job_run, warning)))


class JobRunLogStreamView(StreamView):
    """The log of an attempt of a job run as it is written."""

    queryset = JobRun.objects.all()
    product_path = "belt_run__belt__product"
    missing = "There is no job run with this id that you may see."
    unserved_queues: UnservedQueues | None = None

    @extend_schema(
        parameters=[LogStreamQuery, _LAST_SEQUENCE],
        responses={(200, "text/event-stream"): StreamedEvent},
    )
    def get(self, request: Request, pk: UUID) -> StreamingHttpResponse:
        """Return server-sent events: log, state and finally end; ids are log sequences."""
        job_run = self.found(self.get_queryset(), pk=pk)
        query = self.queried(LogStreamQuery)
        seen = request.headers.get("Last-Event-ID", "")
        after = _sequence(seen) if seen else query["after"]
        feed = LogEvents(
            job_run.pk, number=query.get("attempt"), after=after, served=self.unserved_queues
        )
        return event_stream(request._request, feed)


class BeltRunStreamView(StreamView):
    """The changes in the chain of a belt run."""

    queryset = BeltRun.objects.all()
    product_path = "belt__product"
    missing = "There is no belt run with this id that you may see."

    @extend_schema(
        parameters=[ChangesQuery, _LAST_VERSION],
        responses={(200, "text/event-stream"): StreamedEvent},
    )
    def get(self, request: Request, pk: UUID) -> StreamingHttpResponse:
        """Return server-sent events: changed with a version, and finally end."""
        run = self.found(self.get_queryset(), pk=pk)
        version = self.queried(ChangesQuery)["version"]
        seen = request.headers.get("Last-Event-ID", version)
        return event_stream(request._request, ChainEvents(run, version=seen))


def _sequence(text: str) -> int:
    """Return the sequence that a reader saw last; raises ValidationError for other text."""
    if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= MAX_NUMBER:
        return int(text)
    raise ValidationError({"Last-Event-ID": "Send back the id of an event of this stream."})
