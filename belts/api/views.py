"""Reads of belts, triggers, definitions and the files that they came from."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from belts.api.serializers import (
    BeltDetailSerializer,
    BeltFilters,
    BeltSerializer,
    CommitFileSerializer,
    DefinitionDetailSerializer,
    DefinitionSerializer,
    TriggerSerializer,
)
from belts.models import Belt, CommitFile, Definition, Trigger
from products.api.scoped import ReadViewSet
from products.api.serializers import OfProductFilters


class BeltViewSet(ReadViewSet):
    """Belts of products that you may see; their runs are at ``belt-runs/``."""

    one = "A belt with its jobs, in the order of the file."
    queryset = Belt.objects.select_related("product")
    serializer_class = BeltSerializer
    detail_serializer_class = BeltDetailSerializer
    filters = BeltFilters
    product_path = "product"
    missing = "There is no belt with this id that you may see."

    def get_queryset(self) -> QuerySet[Any]:
        """Return the belts, for the detail with their jobs."""
        belts = super().get_queryset()
        return belts.prefetch_related("jobs") if self.action == "retrieve" else belts


class TriggerViewSet(ReadViewSet):
    """What starts the belts of products that you may see."""

    one = "A trigger, with why it never fires if it is broken."
    queryset = Trigger.objects.select_related("product")
    serializer_class = TriggerSerializer
    filters = OfProductFilters
    product_path = "product"
    missing = "There is no trigger with this id that you may see."


class DefinitionViewSet(ReadViewSet):
    """Frozen definitions of products that you may see, newest first."""

    one = "A frozen definition with all that it says."
    queryset = Definition.objects.select_related("product")
    serializer_class = DefinitionSerializer
    detail_serializer_class = DefinitionDetailSerializer
    filters = OfProductFilters
    product_path = "product"
    missing = "There is no definition with this id that you may see."

    def get_queryset(self) -> QuerySet[Any]:
        """Return the definitions, for the list without what they say."""
        definitions = super().get_queryset()
        return definitions if self.action == "retrieve" else definitions.defer("document")


class CommitFileViewSet(ReadViewSet):
    """Belt files as they were read at commits, newest first, with their problems."""

    one = "A belt file as it was read at a commit, with its problems."
    queryset = CommitFile.objects.select_related("product").defer("text")
    serializer_class = CommitFileSerializer
    filters = OfProductFilters
    product_path = "product"
    missing = "There is no belt file with this id that you may see."
