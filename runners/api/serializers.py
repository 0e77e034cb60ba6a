"""Runners and fleets as the API shows them."""

from __future__ import annotations

from rest_framework import serializers

from runners.models import Fleet, Runner


class RunnerSerializer(serializers.ModelSerializer[Runner]):
    """A runner.

    ``state`` is offline if the runner has not reported for long. ``trouble`` is a sentence if the
    runner claims no job now.
    """

    state = serializers.ChoiceField(choices=Runner.State.choices, read_only=True)
    queues = serializers.ListField(child=serializers.CharField(), read_only=True)
    isolation_report = serializers.ListField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = Runner
        fields = [
            "id",
            "name",
            "host",
            "state",
            "version",
            "protocol",
            "queues",
            "slots",
            "isolation",
            "isolation_report",
            "trouble",
            "started_at",
            "heartbeat_at",
        ]
        read_only_fields = fields


class FleetSerializer(serializers.ModelSerializer[Fleet]):
    """The runners of one queue; ``is_open`` says whether every product may use it."""

    is_open = serializers.BooleanField(source="all_products", read_only=True)

    class Meta:
        model = Fleet
        fields = ["id", "name", "queue", "description", "is_open"]
        read_only_fields = fields
