"""Reads of runs, and their actions: start, cancel, rerun."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from belts.models import Belt
from products.api.scoped import ReadViewSet, ScopedView, require_operator
from products.tokens import TokenUse
from runs.api.requests import EmptySerializer, RerunSerializer, StartSerializer
from runs.api.serializers import (
    AttemptFilters,
    AttemptSerializer,
    BeltRunDetailSerializer,
    BeltRunFilters,
    BeltRunSerializer,
    JobRunDetailSerializer,
    JobRunFilters,
    JobRunSerializer,
)
from runs.cancel import cancel_belt_run, cancel_job_run
from runs.chains import chain_of
from runs.models import Attempt, BeltRun, JobRun
from runs.queue_warnings import nothing_known, queue_warnings
from runs.rerun import rerun_belt_run
from runs.start import start_belt_run


def caller(request: Request) -> str:
    """Return the name of the caller, for records."""
    name = request.user.get_username()
    return f"{name} (token {request.auth.name})" if isinstance(request.auth, TokenUse) else name


class StartBeltView(ScopedView):
    """Starts a belt by its id."""

    queryset = Belt.objects.select_related("product")
    serializer_class = StartSerializer
    scope = "run"
    product_path = "product"
    missing = "There is no belt with this id that you may see."

    @extend_schema(request=StartSerializer, responses={201: BeltRunSerializer})
    def post(self, request: Request, pk: UUID) -> Response:
        """Start a belt; returns the new belt run."""
        return self.start(request, pk=pk)

    def start(self, request: Request, **by: Any) -> Response:
        """Start the belt that ``by`` finds; raises NotFound and PermissionDenied."""
        belt = self.found(self.get_queryset(), **by)
        require_operator(request, belt.product)
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        run = start_belt_run(belt, user=request.user, **asked.validated_data)
        return Response(BeltRunSerializer(run).data, status=201)


class StartNamedBeltView(StartBeltView):
    """Starts a belt by its name, product.belt."""

    missing = "There is no belt of this name that you may see."

    @extend_schema(
        operation_id="belts_start_by_name",
        request=StartSerializer,
        responses={201: BeltRunSerializer},
    )
    def post(self, request: Request, product: str, belt: str) -> Response:  # type: ignore[override]  # other path
        """Start a belt by the names of its product and belt; returns the new belt run."""
        return self.start(request, product__name=product, name=belt)


class BeltRunViewSet(ReadViewSet):
    """Belt runs of products that you may see, newest first."""

    one = "A belt run with its job runs, edges, chain and rounds."
    queryset = BeltRun.objects.select_related("belt__product")
    serializer_class = BeltRunSerializer
    detail_serializer_class = BeltRunDetailSerializer
    filters = BeltRunFilters
    product_path = "belt__product"
    missing = "There is no belt run with this id that you may see."
    unserved_queues = staticmethod(nothing_known)

    def get_queryset(self) -> QuerySet[Any]:
        """Return the belt runs, for the detail with all that belongs to them."""
        runs = super().get_queryset()
        if self.action != "retrieve":
            return runs
        return runs.prefetch_related(
            "edges",
            "job_runs__belt_run__belt__product",
            "job_runs__outputs",
            "job_runs__reused_from__outputs",
            "job_runs__consumed__output",
            "job_runs__suppliers",
        )

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Return a belt run with its job runs, edges, chain and rounds."""
        run = self.get_object()
        runs = BeltRun.objects.select_related("belt__product")
        context = dict(self.get_serializer_context()) | {
            "chain": chain_of(run, self.visible(BeltRun.objects.all())),
            "rounds": runs.filter(belt=run.belt, number=run.number).order_by("round"),
            "warnings": queue_warnings(run.job_runs.all(), self.unserved_queues),
        }
        return Response(self.get_serializer_class()(run, context=context).data)

    def get_action_serializer(self, request: Request) -> Any:
        """Return the valid body of an action; raises ValidationError."""
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        return asked

    @extend_schema(request=EmptySerializer, responses=BeltRunSerializer)
    @action(detail=True, methods=["post"], scope="run", serializer_class=EmptySerializer)
    def cancel(self, request: Request, pk: UUID) -> Response:
        """Cancel a belt run and all its unfinished job runs."""
        run = self.get_object()
        require_operator(request, run.belt.product)
        self.get_action_serializer(request)
        cancel_belt_run(run, by=caller(request))
        return Response(BeltRunSerializer(self.get_object()).data)

    @extend_schema(request=RerunSerializer, responses={201: BeltRunSerializer})
    @action(detail=True, methods=["post"], scope="run", serializer_class=RerunSerializer)
    def rerun(self, request: Request, pk: UUID) -> Response:
        """Repeat a belt run as the next round of its number, with its definition."""
        run = self.get_object()
        require_operator(request, run.belt.product)
        asked = self.get_action_serializer(request)
        again = rerun_belt_run(run, user=request.user, **asked.validated_data)
        return Response(BeltRunSerializer(again).data, status=201)


class JobRunViewSet(ReadViewSet):
    """Job runs of products that you may see, newest first."""

    one = "A job run with its values, attempts and changes of state."
    queryset = JobRun.objects.select_related("belt_run__belt__product")
    serializer_class = JobRunSerializer
    detail_serializer_class = JobRunDetailSerializer
    filters = JobRunFilters
    product_path = "belt_run__belt__product"
    missing = "There is no job run with this id that you may see."
    unserved_queues = staticmethod(nothing_known)

    def get_queryset(self) -> QuerySet[Any]:
        """Return the job runs, for the detail with all that belongs to them."""
        job_runs = super().get_queryset()
        if self.action != "retrieve":
            return job_runs
        return job_runs.prefetch_related(
            "outputs",
            "reused_from__outputs",
            "consumed__output",
            "suppliers",
            "attempts",
            "run_events",
        )

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Return a job run with its values, attempts and changes of state."""
        job_run = self.get_object()
        warnings = queue_warnings([job_run], self.unserved_queues)
        context = dict(self.get_serializer_context()) | {"warnings": warnings}
        return Response(self.get_serializer_class()(job_run, context=context).data)

    @extend_schema(request=EmptySerializer, responses=JobRunSerializer)
    @action(detail=True, methods=["post"], scope="run", serializer_class=EmptySerializer)
    def cancel(self, request: Request, pk: UUID) -> Response:
        """Cancel a job run."""
        job_run = self.get_object()
        require_operator(request, job_run.belt_run.belt.product)
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        cancel_job_run(job_run, by=caller(request))
        return Response(JobRunSerializer(self.get_object()).data)


class AttemptViewSet(ReadViewSet):
    """Attempts of job runs that you may see, newest first."""

    one = "An attempt of a job run, with its runner, result and reason."
    queryset = Attempt.objects.all()
    serializer_class = AttemptSerializer
    filters = AttemptFilters
    product_path = "job_run__belt_run__belt__product"
    missing = "There is no attempt with this id that you may see."
