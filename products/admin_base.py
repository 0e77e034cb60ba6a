"""The base of all admin pages: limited queries, and no failure for odd forms or addresses."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import flatten
from django.contrib.admin.widgets import AutocompleteSelect, AutocompleteSelectMultiple
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.core.validators import EMPTY_VALUES
from django.db import DataError, IntegrityError
from django.db.models import BinaryField, ForeignKey, JSONField, ManyToManyField, Model, QuerySet
from django.forms import JSONField as JSONFormField
from django.forms import ModelChoiceField, ModelMultipleChoiceField
from django.forms.fields import InvalidJSONInput
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

_COUNTED = 2000
#: Longer searches are cut; each word of one makes the query larger.
_LONGEST_SEARCH = 200
#: Rows of an inline. A form of more would have more fields than Django reads of a request.
_MOST_ROWS = 200
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


class _KeysOnly:
    """Drops values that cannot be keys, such as those that an address brings, before the query."""

    def optgroups(self, name: str, value: list[str], attr: Any = None) -> Any:
        """Return the chosen options."""
        kept = [each for each in value if each in EMPTY_VALUES or self._is_key(each)]
        return super().optgroups(name, kept, attr)  # type: ignore[misc]  # of the widget

    def _is_key(self, value: str) -> bool:
        try:
            self.field.remote_field.model._meta.pk.clean(value, None)  # type: ignore[attr-defined]  # of the widget
        except ValidationError:
            return False
        return True


class KeySelect(_KeysOnly, AutocompleteSelect):  # type: ignore[misc]  # stubs name another type
    """A choice of one row with autocompletion."""


class KeySelectMultiple(_KeysOnly, AutocompleteSelectMultiple):  # type: ignore[misc]  # as above
    """A choice of several rows with autocompletion."""


class _KeyChoices(ModelMultipleChoiceField):  # type: ignore[type-arg]  # no generic at run time
    """A choice of several rows; a value that cannot be a key is an unknown one."""

    def clean(self, value: Any) -> Any:
        """Return the rows; raises ValidationError."""
        rows: Any = self.queryset
        key = rows.model._meta.pk
        for each in value if isinstance(value, (list, tuple)) else ():
            key.clean(each, None)
        return super().clean(value)


class NestedJSONField(JSONFormField):
    """A field of JSON that refuses what is nested too deeply for Python to read."""

    def to_python(self, value: Any) -> Any:
        """Return the value; raises ValidationError."""
        try:
            return super().to_python(value)
        except RecursionError as error:
            raise ValidationError("The value is nested too deeply.", code="invalid") from error

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Return what the form shows again."""
        try:
            return super().bound_data(data, initial)
        except RecursionError:
            return InvalidJSONInput(data)


class CheckedChoices(admin.options.BaseModelAdmin[Any]):
    """Forms whose choices of rows take any value and refuse what is none."""

    formfield_overrides: ClassVar[dict[Any, Any]] = {JSONField: {"form_class": NestedJSONField}}

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField[Any] | None:
        """Return the form's field."""
        if "widget" not in kwargs and db_field.name in self.get_autocomplete_fields(request):
            kwargs["widget"] = KeySelect(db_field, self.admin_site)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_manytomany(
        self, db_field: ManyToManyField[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelMultipleChoiceField[Any] | None:
        """Return the form's field."""
        if "widget" not in kwargs and db_field.name in self.get_autocomplete_fields(request):
            kwargs["widget"] = KeySelectMultiple(db_field, self.admin_site)
        kwargs.setdefault("form_class", _KeyChoices)
        return super().formfield_for_manytomany(db_field, request, **kwargs)


class BoundedInline(CheckedChoices, admin.options.InlineModelAdmin[Any, Any]):
    """Rows on the page of another row; a form makes no more of them than a request can carry."""

    max_num = _MOST_ROWS

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        """Return the formset."""
        kwargs.setdefault("absolute_max", self.max_num)
        return super().get_formset(request, obj, **kwargs)


class BoundedAdmin(CheckedChoices, admin.ModelAdmin[Any]):
    """Lists that never count all rows and never show all of them.

    A form that adds a row leaves out what is only shown: a new row has none of it yet.
    """

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_max_show_all = 0
    list_per_page = 50

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fields of a form."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is not None:
            return fieldsets
        shown = set(self.get_readonly_fields(request, obj))
        kept = [(name, _without(shown, options)) for name, options in fieldsets]
        return [(name, options) for name, options in kept if options["fields"]]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Return whether an address may filter by this: no text is a value of bytes."""
        first = lookup.partition("__")[0]
        bytes_fields = {each.name for each in self.opts.fields if isinstance(each, BinaryField)}
        return first not in bytes_fields and super().lookup_allowed(lookup, value, request)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the rows that are found by the words."""
        words = search_term.replace("\0", "")[:_LONGEST_SEARCH]
        return super().get_search_results(request, queryset, words)

    def response_action(  # type: ignore[override]  # stubs of another version
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> HttpResponse | None:
        """Return what an action answers; chosen rows that cannot be rows are refused."""
        try:
            for each in request.POST.getlist(ACTION_CHECKBOX_NAME):
                self.opts.pk.clean(each, None)
        except ValidationError:
            messages.error(request, "A chosen row does not exist. Load the list again.")
            return None
        return super().response_action(request, queryset)

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
        except (OverflowError, DataError):
            messages.error(request, "The address asked for a value that no row can have.")
            return HttpResponseRedirect(request.path)

    def _in_use(self, request: HttpRequest) -> HttpResponse:
        messages.error(request, _IN_USE)
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        return HttpResponseRedirect(reverse(f"admin:{name}_changelist"))


def _without(left_out: set[Any], options: Any) -> Any:
    """Return the options of a fieldset without some of its fields."""
    kept = []
    for line in options["fields"]:
        names = [name for name in flatten([line]) if name not in left_out]
        if names:
            kept.append(names[0] if len(names) == 1 else tuple(names))
    return {**options, "fields": tuple(kept)}


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
