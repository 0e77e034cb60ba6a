"""The ground of all admin lists: bounded work on tables of any size."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model
from django.http import HttpRequest

_COUNTED = 2000


class BoundedPaginator(Paginator[Any]):
    """Counts no further than lists are leafed through; older rows are found by searching."""

    @cached_property
    def count(self) -> int:
        """Return the number of rows, or the bound."""
        rows: Any = self.object_list
        return len(rows.order_by().values_list("pk")[:_COUNTED])


class BoundedAdmin(admin.ModelAdmin[Any]):
    """Lists that never count all rows and never show all of them."""

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_max_show_all = 0
    list_per_page = 50


class ReadOnlyAdmin(BoundedAdmin):
    """Rows that only the engine writes."""

    sortable_by = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return False."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return False."""
        return False
