"""Belts, triggers and definitions as the API shows them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from belts.models import Belt, CommitFile, Definition, Job, Trigger
from products.api.fields import TextField
from products.api.requests import StrictSerializer
from products.names import NAME_MAX


class ProblemSerializer(serializers.Serializer[Any]):
    """A problem of a belt file; ``line`` and ``column`` count from 1, ``excerpt`` is that line."""

    code = serializers.CharField()
    severity = serializers.ChoiceField(choices=["error", "warning"])
    message = serializers.CharField()
    hint = serializers.CharField(allow_blank=True)
    path = serializers.CharField(allow_blank=True)
    line = serializers.IntegerField(allow_null=True)
    column = serializers.IntegerField(allow_null=True)
    excerpt = serializers.CharField(allow_blank=True, default="")


class JobSerializer(serializers.ModelSerializer[Job]):
    """A job as it is now; its fields are those of the belt file."""

    # A number, a rule or null: what the file says.
    retry = serializers.JSONField(read_only=True)

    class Meta:
        model = Job
        fields = [
            "name",
            "inputs",
            "queue",
            "env",
            "credentials",
            "shell",
            "working_directory",
            "pre_run",
            "commands",
            "post_run",
            "outputs",
            "downstreams",
            "timeout",
            "post_run_timeout",
            "retry",
        ]
        read_only_fields = fields


class BeltSerializer(serializers.ModelSerializer[Belt]):
    """A belt as it is now."""

    product = serializers.CharField(source="product.name", read_only=True)

    class Meta:
        model = Belt
        fields = ["id", "product", "name", "description", "archived_at", "last_number"]
        read_only_fields = fields


class BeltDetailSerializer(BeltSerializer):
    """A belt with its jobs, in the order of the file."""

    jobs = JobSerializer(many=True, read_only=True)

    class Meta(BeltSerializer.Meta):
        fields = [*BeltSerializer.Meta.fields, "env", "downstreams", "jobs"]
        read_only_fields = fields


class BeltFilters(StrictSerializer):
    """What narrows the list of belts."""

    product = TextField(required=False, max_length=NAME_MAX, source="product__name")
    name = TextField(required=False, max_length=NAME_MAX)


class TriggerSerializer(serializers.ModelSerializer[Trigger]):
    """What starts belts; ``broken`` is the sentence why it never fires, if so."""

    product = serializers.CharField(source="product.name", read_only=True)
    belts = serializers.ListField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = Trigger
        fields = ["id", "product", "kind", "details", "belts", "broken", "due_at"]
        read_only_fields = fields


class DefinitionSerializer(serializers.ModelSerializer[Definition]):
    """A frozen definition; ``current`` says whether it is the product's present one."""

    product = serializers.CharField(source="product.name", read_only=True)
    current = serializers.SerializerMethodField()

    class Meta:
        model = Definition
        fields = ["id", "product", "digest", "current", "created_at"]
        read_only_fields = fields

    def get_current(self, definition: Definition) -> bool:
        """Return whether new runs use it."""
        return definition.current_of_id is not None


class DefinitionDetailSerializer(DefinitionSerializer):
    """A frozen definition with all that it says."""

    document = serializers.DictField(read_only=True)

    class Meta(DefinitionSerializer.Meta):
        fields = [*DefinitionSerializer.Meta.fields, "document"]
        read_only_fields = fields


class CommitFileSerializer(serializers.ModelSerializer[CommitFile]):
    """What a belt file was at one commit: its definition, or the problems that it has."""

    product = serializers.CharField(source="product.name", read_only=True)
    problems = ProblemSerializer(many=True, read_only=True)

    class Meta:
        model = CommitFile
        fields = [
            "id",
            "product",
            "commit",
            "definition",
            "problems",
            "on_default_branch",
            "created_at",
        ]
        read_only_fields = fields
