"""The admin of belts, jobs, triggers and definitions."""

from __future__ import annotations

from typing import Any

import yaml
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Model, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from belts.admin_base import DefinitionFields, DefinitionRowAdmin, PublishingAdmin, publish_and_tell
from belts.admin_forms import (
    BeltForm,
    InlineJobForm,
    JobForm,
    JobFormSet,
    ProductForm,
    TriggerForm,
)
from belts.admin_problems import sentence
from belts.commit_files import last_file
from belts.definitions import spec_of
from belts.errors import BrokenFileError, UnknownDefinitionError
from belts.models import Belt, CommitFile, Definition, Job, Trigger
from belts.neighbours import renew_source_warnings
from belts.ownership import detach
from belts.spec.problems import Problem, render_text
from products.admin import ProductAdmin, SourceAdmin
from products.admin_base import BoundedInline, DottedSearch, ReadOnlyAdmin, counted
from products.models import Product, Source

_JOB_FIELDS = (
    ("name", "position"),
    "inputs",
    ("queue", "shell", "timeout"),
    "pre_run",
    "commands",
    "post_run",
    "outputs",
    "downstreams",
    "env",
    "credentials",
    ("working_directory", "post_run_timeout"),
    "retry",
)


admin.site.unregister(Product)


@admin.register(Product)
class DefinedProductAdmin(PublishingAdmin, ProductAdmin):
    """Products with their definitions, and the way from a file to the admin."""

    form = ProductForm
    fields = (*ProductAdmin.fields, "definition", "belt_file")  # type: ignore[assignment]  # longer
    actions = (*ProductAdmin.actions, "detach_products")  # type: ignore[assignment]  # longer

    def product_of(self, row: Any) -> Product:
        """Return the product itself."""
        product: Product = row
        return product

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Return what is not edited here, and what is only shown."""
        return [*super().get_readonly_fields(request, obj), "definition", "belt_file"]

    @admin.display(description="definition")
    def definition(self, product: Product) -> str:
        """Return a link to the definition that new runs use."""
        found = Definition.objects.filter(current_of=product).defer("document").first()
        return _link(found, "belts_definition") if found else "none yet"

    @admin.display(description="belt file")
    def belt_file(self, product: Product) -> str:
        """Return a link to the file that was read last on the default branch, with its state."""
        found = last_file(product)
        if found is None:
            return "none was read"
        state = counted(len(found.problems), "problem") if found.problems else "no problems"
        if not product.is_file_managed:
            state = "not in use, the admin manages the product"
        return format_html("{}: {}", _link(found, "belts_commitfile"), state)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save the source as well, and look again at what was said of the file because of it."""
        super().save_related(request, form, formsets, change)
        if any(each.model is Source and each.has_changed() for each in formsets):
            renew_source_warnings(form.instance)

    @admin.action(description="Detach from the file: edit it here", permissions=["change"])
    def detach_products(self, request: HttpRequest, queryset: QuerySet[Product]) -> None:
        """Hand products from their files to the admin."""
        done = sum(detach(product) for product in queryset)
        whom = "it" if done == 1 else "them"
        self.message_user(
            request, f"Detached {counted(done, 'product')}; imports leave {whom} alone now."
        )


admin.site.unregister(Source)


@admin.register(Source)
class DefinedSourceAdmin(SourceAdmin):
    """Repositories; with another one, what was said of the product's file may hold no longer."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the source."""
        super().save_model(request, obj, form, change)
        renew_source_warnings(obj.product)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete the source."""
        super().delete_model(request, obj)
        renew_source_warnings(obj.product)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Delete sources."""
        products = list(Product.objects.filter(source__in=queryset))
        super().delete_queryset(request, queryset)
        for product in products:
            renew_source_warnings(product)


def _link(row: Model, name: str) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse(f"admin:{name}_change", args=[row.pk]), row)


class JobInline(DefinitionFields, BoundedInline, admin.StackedInline[Job, Belt]):
    """The jobs of a belt, on the belt's page."""

    model = Job
    form = InlineJobForm
    formset = JobFormSet
    extra = 0
    show_change_link = True
    fields = _JOB_FIELDS
    ordering = ("position", "name")

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        """Return the forms, which tell why the last try was refused."""
        formset = super().get_formset(request, obj, **kwargs)
        formset.form.problems = getattr(request, "conveyor_problems", ())
        return formset

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may, and no file manages the belt."""
        return super().has_add_permission(request, obj) and not _is_of_a_file(obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return the same for changing."""
        return super().has_change_permission(request, obj) and not _is_of_a_file(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return the same for deleting."""
        return super().has_delete_permission(request, obj) and not _is_of_a_file(obj)


def _is_of_a_file(belt: Any) -> bool:
    return isinstance(belt, Belt) and belt.product.is_file_managed


@admin.register(Belt)
class BeltAdmin(DottedSearch, DefinitionRowAdmin):
    """Belts with their jobs."""

    form = BeltForm
    inlines = (JobInline,)
    list_display = ("name", "product", "position", "last_number", "archived_at")
    list_filter = ("product__managed_by", ("archived_at", admin.EmptyFieldListFilter))
    list_select_related = ("product",)
    search_fields = ("name", "product__name")
    autocomplete_fields = ("product",)
    readonly_fields = ("archived_at", "last_number")
    fields = (
        "product",
        ("name", "position"),
        "description",
        "env",
        "downstreams",
        ("archived_at", "last_number"),
    )
    actions = ("archive_belts", "restore_belts")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return whether it may be deleted; a belt that has run is archived, its runs stay."""
        has_run = isinstance(obj, Belt) and obj.last_number > 0
        return super().has_delete_permission(request, obj) and not has_run

    @admin.action(description="Archive belts (their runs stay)", permissions=["change"])
    def archive_belts(self, request: HttpRequest, queryset: QuerySet[Belt]) -> None:
        """Take belts out of the definitions of their products."""
        self._move(request, queryset.filter(archived_at=None), archived_at=Now())

    @admin.action(description="Restore archived belts", permissions=["change"])
    def restore_belts(self, request: HttpRequest, queryset: QuerySet[Belt]) -> None:
        """Put belts into the definitions of their products again."""
        self._move(request, queryset.exclude(archived_at=None), archived_at=None)

    def _move(self, request: HttpRequest, belts: QuerySet[Belt], *, archived_at: Any) -> None:
        for belt in belts.select_related("product"):
            if belt.product.is_file_managed:
                messages.error(request, f"{belt} is managed by its file: edit the file, or detach.")
                continue
            try:
                with transaction.atomic():
                    Belt.objects.filter(pk=belt.pk).update(archived_at=archived_at)
                    publish_and_tell(request, belt.product)
            except BrokenFileError as error:
                messages.error(request, f"{belt}: {' '.join(map(sentence, error.problems))}")


@admin.register(Job)
class JobAdmin(DottedSearch, DefinitionRowAdmin):
    """Jobs of all belts."""

    form = JobForm
    owner = "belt"
    list_display = ("name", "belt", "queue", "shell", "timeout")
    list_filter = ("shell", "belt__product__managed_by")
    list_select_related = ("belt__product",)
    search_fields = ("name", "belt__name", "belt__product__name")
    autocomplete_fields = ("belt",)
    fields = ("belt", *_JOB_FIELDS)

    def product_of(self, row: Any) -> Product:
        """Return the product of the job's belt."""
        product: Product = row.belt.product
        return product


@admin.register(Trigger)
class TriggerAdmin(DefinitionRowAdmin):
    """What starts belts; a broken one says why it never fires."""

    form = TriggerForm
    list_display = ("__str__", "kind", "due_at", "broken")
    list_filter = ("kind", ("broken", admin.EmptyFieldListFilter), "product__managed_by")
    list_select_related = ("product",)
    search_fields = ("product__name", "upstream_product", "upstream_belt")
    autocomplete_fields = ("product",)
    readonly_fields = ("broken", "due_at")
    fields = ("product", "position", "kind", "details", "belts", "broken", "due_at")


@admin.register(Definition)
class DefinitionAdmin(ReadOnlyAdmin):
    """Frozen definitions, newest first."""

    list_display = ("__str__", "product", "is_current", "created_at")
    list_filter = (("current_of", admin.EmptyFieldListFilter),)
    list_select_related = ("product",)
    search_fields = ("=product__name", "digest__startswith")
    fields = ("product", "digest", "is_current", "created_at", "content")
    readonly_fields = ("is_current", "content")
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the definitions without what they say."""
        return super().get_queryset(request).defer("document")

    @admin.display(boolean=True, description="current")
    def is_current(self, definition: Definition) -> bool:
        """Return whether new runs use it."""
        return definition.current_of_id is not None

    @admin.display(description="content")
    def content(self, definition: Definition) -> SafeString:
        """Return what it says, as a belt file."""
        try:
            document = spec_of(definition).to_yaml_document()
        except UnknownDefinitionError as error:
            return format_html("<p>{}</p>", str(error))
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
        return format_html("<pre>{}</pre>", text)


@admin.register(CommitFile)
class CommitFileAdmin(ReadOnlyAdmin):
    """Belt files as they were read at commits, newest first, with their problems."""

    list_display = ("__str__", "product", "is_good", "on_default_branch", "created_at")
    list_filter = ("on_default_branch", ("definition", admin.EmptyFieldListFilter))
    list_select_related = ("product",)
    search_fields = ("=product__name", "commit__startswith")
    fields = (
        "product",
        "commit",
        "definition",
        "on_default_branch",
        "created_at",
        "problem_list",
        "file",
    )
    readonly_fields = ("problem_list", "file")
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the files without their texts."""
        return super().get_queryset(request).defer("text")

    @admin.display(boolean=True, description="good")
    def is_good(self, row: CommitFile) -> bool:
        """Return whether it could be used."""
        return row.definition_id is not None

    @admin.display(description="problems")
    def problem_list(self, row: CommitFile) -> SafeString:
        """Return the problems with the lines that they are about."""
        problems = [Problem.from_document(each) for each in row.problems]
        return format_html("<pre>{}</pre>", render_text(problems, row.text, "line") or "none")

    @admin.display(description="text")
    def file(self, row: CommitFile) -> SafeString:
        """Return the text of the file."""
        return format_html("<pre>{}</pre>", row.text)
