"""Belt runs, job runs and their values, as the API shows them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from products.api.fields import IdField, TextField, WordField
from products.api.requests import StrictSerializer
from products.names import NAME_MAX
from runs.models import Attempt, BeltRun, Consumption, Edge, JobRun, Output, RunEvent, Supplier
from runs.states import BeltRunState, JobRunState


class BeltRunRefSerializer(serializers.ModelSerializer[BeltRun]):
    """Names and state of a belt run."""

    product = serializers.CharField(source="belt.product.name", read_only=True)
    belt = serializers.CharField(source="belt.name", read_only=True)

    class Meta:
        model = BeltRun
        fields = ["id", "product", "belt", "number", "round", "state"]
        read_only_fields = fields


class BeltRunSerializer(BeltRunRefSerializer):
    """A belt run; ``root`` is null for the first run of a chain."""

    page = serializers.CharField(source="get_absolute_url", read_only=True)
    parameters = serializers.DictField(child=serializers.CharField(), read_only=True)

    class Meta(BeltRunRefSerializer.Meta):
        fields = [
            *BeltRunRefSerializer.Meta.fields,
            "page",
            "cause",
            "event",
            "upstream",
            "root",
            "depth",
            "rerun_of",
            "definition",
            "source_url",
            "commit",
            "ref",
            "branch",
            "on_default_branch",
            "tainted",
            "parameters",
            "continue_downstream",
            "cancel_requested_at",
            "created_at",
            "started_at",
            "finished_at",
        ]
        read_only_fields = fields


class ChainLinkSerializer(serializers.Serializer[Any]):
    """A belt run in a chain; ``depth`` is the number of hops from the first run."""

    depth = serializers.IntegerField()
    run = BeltRunRefSerializer()


class EdgeSerializer(serializers.ModelSerializer[Edge]):
    """A downstream belt with its started run, or the reason why none was started."""

    product = serializers.CharField(source="product_name", read_only=True)
    belt = serializers.CharField(source="belt_name", read_only=True)
    after_jobs = serializers.ListField(child=serializers.CharField(), read_only=True)
    on = serializers.ListField(child=serializers.CharField(), read_only=True)
    merged = serializers.ListField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = Edge
        fields = [
            "id",
            "product",
            "belt",
            "after_jobs",
            "on",
            "declared",
            "merged",
            "fired_at",
            "closed_at",
            "note",
            "started",
        ]
        read_only_fields = fields


class SupplierSerializer(serializers.ModelSerializer[Supplier]):
    """The belt run that supplies a job run; ``belt_run`` is null if none was found."""

    class Meta:
        model = Supplier
        fields = ["product_name", "belt_name", "job_name", "belt_run", "how", "note"]
        read_only_fields = fields


class OutputSerializer(serializers.ModelSerializer[Output]):
    """An output of a job run."""

    class Meta:
        model = Output
        fields = ["id", "name", "type", "value", "created_at"]
        read_only_fields = fields


class ConsumptionSerializer(serializers.ModelSerializer[Consumption]):
    """An input of a job run; ``job_run`` is its supplier, or null after its removal."""

    job_run = serializers.UUIDField(
        source="output.job_run_id", read_only=True, allow_null=True, default=None
    )

    class Meta:
        model = Consumption
        fields = ["reference", "variable", "value", "supplier_label", "output", "job_run"]
        read_only_fields = fields


class AttemptSerializer(serializers.ModelSerializer[Attempt]):
    """One execution of a job run by one runner."""

    class Meta:
        model = Attempt
        fields = [
            "id",
            "job_run",
            "number",
            "state",
            "reason",
            "message",
            "runner_name",
            "isolation",
            "claimed_at",
            "started_at",
            "finished_at",
            "exit_code",
            "log_bytes",
            "log_sha256",
        ]
        read_only_fields = fields


class RunEventSerializer(serializers.ModelSerializer[RunEvent]):
    """A change of state."""

    class Meta:
        model = RunEvent
        fields = ["old", "new", "reason", "message", "by", "at"]
        read_only_fields = fields


class JobRunSerializer(serializers.ModelSerializer[JobRun]):
    """One execution of a job in a belt run."""

    product = serializers.CharField(source="belt_run.belt.product.name", read_only=True)
    belt = serializers.CharField(source="belt_run.belt.name", read_only=True)
    page = serializers.CharField(source="get_absolute_url", read_only=True)
    needs = serializers.ListField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = JobRun
        fields = [
            "id",
            "belt_run",
            "product",
            "belt",
            "name",
            "page",
            "position",
            "needs",
            "queue",
            "timeout_s",
            "state",
            "reason",
            "message",
            "attempts_made",
            "last_attempt",
            "reused_from",
            "cancel_requested_at",
            "created_at",
            "queued_at",
            "available_at",
            "started_at",
            "finished_at",
        ]
        read_only_fields = fields


class JobRunValuesSerializer(JobRunSerializer):
    """A job run with its inputs and outputs.

    ``warning`` is a sentence if no runner serves the queue, else empty.
    """

    inputs = ConsumptionSerializer(source="consumed", many=True, read_only=True)
    outputs = OutputSerializer(source="handed_on", many=True, read_only=True)
    suppliers = SupplierSerializer(many=True, read_only=True)
    warning = serializers.SerializerMethodField()

    class Meta(JobRunSerializer.Meta):
        fields = [*JobRunSerializer.Meta.fields, "warning", "inputs", "outputs", "suppliers"]
        read_only_fields = fields

    def get_warning(self, job_run: JobRun) -> str:
        """Return the warning that the view found for the job run."""
        warnings: dict[Any, str] = self.context.get("warnings", {})
        return warnings.get(job_run.pk, "")


class JobRunDetailSerializer(JobRunValuesSerializer):
    """A job run with its attempts and its changes of state, oldest first."""

    attempts = AttemptSerializer(many=True, read_only=True)
    events = RunEventSerializer(source="run_events", many=True, read_only=True)

    class Meta(JobRunValuesSerializer.Meta):
        fields = [*JobRunValuesSerializer.Meta.fields, "attempts", "events"]
        read_only_fields = fields


class BeltRunDetailSerializer(BeltRunSerializer):
    """A belt run with its job runs, downstream belts, chain and rounds."""

    job_runs = JobRunValuesSerializer(many=True, read_only=True)
    edges = EdgeSerializer(many=True, read_only=True)
    chain = serializers.SerializerMethodField()
    rounds = serializers.SerializerMethodField()

    class Meta(BeltRunSerializer.Meta):
        fields = [*BeltRunSerializer.Meta.fields, "job_runs", "edges", "chain", "rounds"]
        read_only_fields = fields

    def get_chain(self, run: BeltRun) -> list[dict[str, Any]]:
        """Return the chain that the view read, over all products that the caller may see."""
        links = self.context.get("chain", [])
        return [dict(each) for each in ChainLinkSerializer(links, many=True).data]

    def get_rounds(self, run: BeltRun) -> list[dict[str, Any]]:
        """Return all rounds of the run's number."""
        rounds = self.context.get("rounds", [])
        return [dict(each) for each in BeltRunRefSerializer(rounds, many=True).data]


class BeltRunFilters(StrictSerializer):
    """Filters of the list of belt runs."""

    product = TextField(required=False, max_length=NAME_MAX, source="belt__product__name")
    belt = TextField(required=False, max_length=NAME_MAX, source="belt__name")
    state = WordField(required=False, choices=BeltRunState.choices)
    root = IdField(required=False, source="root_id")  # type: ignore[assignment]  # a field, which the metaclass takes away


class JobRunFilters(StrictSerializer):
    """Filters of the list of job runs."""

    belt_run = IdField(required=False, source="belt_run_id")
    state = WordField(required=False, choices=JobRunState.choices)
    queue = TextField(required=False, max_length=63)


class AttemptFilters(StrictSerializer):
    """Filters of the list of attempts."""

    job_run = IdField(required=False, source="job_run_id")
