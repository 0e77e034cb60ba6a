"""The ground of all admin lists: bounded work on tables of any size."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db import IntegrityError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

_COUNTED = 2000
_IN_USE = (
    "Nothing was deleted: something has begun meanwhile that uses it, such as a run. Look at it "
    "again, and archive it where that is possible."
)


def counted(count: int, thing: str) -> str:
    """Return how many there are of a thing, as in 1 product and 2 products."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


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

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Return the page that asks; what has come into use meanwhile is not deleted."""
        try:
            return super().delete_view(request, object_id, extra_context)
        except IntegrityError:
            return self._in_use(request)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Return the list, or what an action answers; the same holds for one that deletes."""
        try:
            return super().changelist_view(request, extra_context)
        except IntegrityError:
            return self._in_use(request)

    def _in_use(self, request: HttpRequest) -> HttpResponse:
        messages.error(request, _IN_USE)
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        return HttpResponseRedirect(reverse(f"admin:{name}_changelist"))


class DottedSearch(BoundedAdmin):
    """Lists that are searched by names as people write them: product.belt, product.belt.job."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the rows that are found by the words, or by what their dots are between."""
        found, twice = super().get_search_results(request, queryset, search_term)
        if "." not in search_term:
            return found, twice
        parts = search_term.replace(".", " ")
        named, named_twice = super().get_search_results(request, queryset, parts)
        return found | named, twice or named_twice


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
