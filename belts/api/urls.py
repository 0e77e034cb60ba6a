"""What the belts app adds to the API."""

from __future__ import annotations

from typing import Any

from rest_framework.viewsets import GenericViewSet

from belts.api.views import BeltViewSet, CommitFileViewSet, DefinitionViewSet, TriggerViewSet

VIEWSETS: dict[str, type[GenericViewSet[Any]]] = {
    "belts": BeltViewSet,
    "triggers": TriggerViewSet,
    "definitions": DefinitionViewSet,
    "commit-files": CommitFileViewSet,
}
