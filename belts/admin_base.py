"""The ground of the admin of rows that are a definition: saved is published, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Field, Model
from django.forms import Field as FormField
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html

from belts.admin_problems import needs_a_job, sentence
from belts.errors import BrokenFileError
from belts.rows import publish_rows, read_rows
from belts.spec.problems import Problem
from products.admin_base import BoundedAdmin
from products.models import Product

_LAST_JOB = (
    "It is the last job of its belt, and a belt needs one. Give the belt another one first, or "
    "archive or delete the belt itself."
)
_SCRIPTS = ("pre_run", "commands", "post_run")
#: What may stand in fields of JSON, which few people write by heart.
_EXAMPLES = {
    "inputs": '["source", "other-product.belt"]',
    "env": '{"LEVEL": "debug"}',
    "credentials": '["deploy-key"]',
    "outputs": '[{"String": "VERSION=$VERSION"}]',
    "downstreams": '[{"downstream-product": "image", "belts": ["build"]}]',
    "retry": '3, or {"max": 3, "on": ["failure"]}',
    "details": '{"type": ["merge"]}',
    "belts": '["release"]',
}


class DefinitionFields(admin.options.BaseModelAdmin[Any]):
    """Fields of rows that are a definition.

    Scripts keep their leading blanks, which may have a meaning. A value that is not JSON is refused
    with an example.
    """

    def formfield_for_dbfield(
        self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> FormField | None:
        """Return the form's field."""
        if db_field.name in _SCRIPTS:
            kwargs["strip"] = False
        if example := _EXAMPLES.get(db_field.name):
            told = (
                f"This is not JSON, which has double quotes around texts. Write such as {example}"
            )
            kwargs["error_messages"] = {"invalid": told}
        found: FormField | None = super().formfield_for_dbfield(db_field, request, **kwargs)
        return found


class PublishingAdmin(DefinitionFields, BoundedAdmin):
    """Saves and publishes in one transaction.

    What would break the definition is refused, with the form as it was filled in.
    """

    def product_of(self, row: Any) -> Product:
        """Return the product that the row belongs to."""
        raise NotImplementedError

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[ModelForm[Any]]:
        """Return the form, which tells why the last try was refused."""
        form = super().get_form(request, obj, change=change, **kwargs)
        form.problems = getattr(request, "conveyor_problems", ())  # type: ignore[attr-defined]  # of PublishedForm
        return form

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Return the page of the row; saving is undone when the definition would break."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except BrokenFileError as error:
            request.conveyor_problems = [each for each in error.problems if each.is_error]  # type: ignore[attr-defined]  # ours
            return super().changeform_view(request, object_id, form_url, extra_context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the row, knowing what was wrong before."""
        request.conveyor_before = _errors(self.product_of(obj))  # type: ignore[attr-defined]  # ours
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save what belongs to the row, and publish."""
        super().save_related(request, form, formsets, change)
        before: set[str] = getattr(request, "conveyor_before", set())
        publish_and_tell(request, self.product_of(form.instance), before)


class DefinitionRowAdmin(PublishingAdmin):
    """Rows of belts, jobs and triggers; those of a file are shown and not changed."""

    owner = "product"

    def product_of(self, row: Any) -> Product:
        """Return the product that the row belongs to."""
        product: Product = row.product
        return product

    # What may be done

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return whether the user may, and no file manages the row."""
        return super().has_change_permission(request, obj) and not self._is_of_a_file(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return the same for deleting."""
        return super().has_delete_permission(request, obj) and not self._is_of_a_file(obj)

    def _is_of_a_file(self, row: Model | None) -> bool:
        return row is not None and self.product_of(row).is_file_managed

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Return the actions; rows are deleted one at a time, so that each can be refused."""
        actions: dict[str, Any] = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    # What is shown

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Return the fields that never change: a row stays where it belongs."""
        fixed = [str(name) for name in super().get_readonly_fields(request, obj)]
        return fixed if obj is None else [self.owner, *fixed]

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Return the fields; of a file's row with the way to change it."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or not self._is_of_a_file(obj):
            return fieldsets
        notice = format_html(
            'Managed by its file: edit the file, or detach <a href="{}">{}</a>.',
            reverse("admin:products_product_change", args=[self.product_of(obj).pk]),
            self.product_of(obj),
        )
        (name, options), *rest = fieldsets
        return [(name, {**options, "description": notice}), *rest]

    # What deleting does

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Return the page that asks; deleting is undone when the definition would break."""
        try:
            return super().delete_view(request, object_id, extra_context)
        except BrokenFileError as error:
            for each in error.problems:
                messages.error(request, _LAST_JOB if needs_a_job(each) else sentence(each))
            options = self.model._meta
            path = reverse(
                f"admin:{options.app_label}_{options.model_name}_change", args=[object_id]
            )
            return HttpResponseRedirect(path)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete the row, and publish."""
        product = self.product_of(obj)
        before = _errors(product)
        with transaction.atomic():
            super().delete_model(request, obj)
            publish_and_tell(request, product, before)


def publish_and_tell(
    request: HttpRequest, product: Product, before: set[str] | None = None
) -> None:
    """Publish the rows of a product that the admin manages, and say of what to beware.

    A product that has none yet is left without a definition. Raises BrokenFileError if something
    new is wrong. Where it was wrong ``before``, rows are mended one after the other: they are
    kept, and the last good definition stays in use.
    """
    if product.is_file_managed or not _has_rows(product):
        return
    try:
        _, warnings = publish_rows(product)
    except BrokenFileError as error:
        if not {sentence(each) for each in error.problems if each.is_error} <= (before or set()):
            raise
        messages.warning(request, "Saved, but not in use yet: the definition is still broken.")
        warnings = error.problems
    for each in warnings:
        messages.warning(request, sentence(each))


def _has_rows(product: Product) -> bool:
    rows = (product.definitions, product.belts, product.triggers)
    return any(each.exists() for each in rows)


def _errors(product: Product) -> set[str]:
    problems: Sequence[Problem] = read_rows(product).errors
    return {sentence(each) for each in problems}
