"""The admin of accounts, and of what packages of the site keep."""

from __future__ import annotations

from typing import Any

import django.contrib.auth.admin  # noqa: F401  # registers its models, before that is undone
import django_celery_results.admin  # noqa: F401  # the same
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.models import Group, User
from django.db.models import Field
from django.forms import Field as FormField
from django.http import HttpRequest
from django.utils.html import format_html
from django_celery_results.models import GroupResult, TaskResult

from belts.admin import DefinedProductAdmin
from products.admin_base import BoundedAdmin, BoundedInline, ReadOnlyAdmin
from products.forms import MembershipForm
from products.models import Membership, Product
from runs.recent_runs import last_runs

# Tasks of Conveyor make no groups. Products get their last run, which is of a higher app.
admin.site.unregister([GroupResult, TaskResult, Group, User, Product])

_HELP = {
    "is_active": "Clear this to lock the account. Runs and tokens keep its name.",
    "is_staff": "May see and start everything, and open the admin. Leave it off for others.",
    "is_superuser": "May change everything in the admin. Requires staff status.",
    "groups": (
        "Groups give staff permissions in the admin. They do not affect products: see Memberships."
    ),
}


class MembershipOfUserInline(BoundedInline, admin.TabularInline[Membership, User]):
    """The products of a user, on the user's page."""

    model = Membership
    form = MembershipForm
    autocomplete_fields = ("product",)
    extra = 0


@admin.register(Product)
class ProductOverviewAdmin(DefinedProductAdmin):
    """Products, with their last belt run in the list."""

    list_display = ("name", "last_run", *DefinedProductAdmin.list_display[1:])  # type: ignore[assignment]  # longer

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list with the last run of each product on its page: two queries for all."""
        changelist = super().get_changelist_instance(request)
        products = list(changelist.result_list)
        runs = last_runs(products)
        for product in products:
            product.shown_run = runs.get(product.pk)
        changelist.result_list = products
        return changelist

    @admin.display(description="last run")
    def last_run(self, product: Any) -> str:
        """Return a link to the last run with its state."""
        run = product.shown_run
        if run is None:
            return "none"
        text = f"{run.belt.name} {run.label}: {run.state}"
        return format_html('<a href="{}">{}</a>', run.get_absolute_url(), text)


@admin.register(User)
class AccountAdmin(BoundedAdmin, UserAdmin):  # type: ignore[type-arg]  # of the package
    """Accounts, with the products that they belong to."""

    list_display = ("username", "email", "is_active", "is_staff", "is_superuser", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    readonly_fields = ("last_login", "date_joined")
    # The admin's own form adds a choice for sites with single sign-on.
    add_form = UserCreationForm
    add_fieldsets = ((None, {"fields": ("username", "password1", "password2")}),)
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Access", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
        ("Permissions in the admin", {"fields": ("groups",), "classes": ("collapse",)}),
    )

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the memberships; a new account gets them once it is saved."""
        return () if obj is None else (MembershipOfUserInline,)

    def formfield_for_dbfield(
        self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> FormField | None:
        """Return the form's field, explained in the terms of this site."""
        if db_field.name in _HELP:
            kwargs["help_text"] = _HELP[db_field.name]
        found: FormField | None = super().formfield_for_dbfield(db_field, request, **kwargs)
        return found


@admin.register(Group)
class PermissionGroupAdmin(BoundedAdmin, GroupAdmin):  # type: ignore[misc]  # narrower stubs
    """Groups of permissions of the admin."""


@admin.register(TaskResult)
class HousekeepingResultAdmin(ReadOnlyAdmin):
    """Results of housekeeping tasks, newest first; they are removed after a week."""

    list_display = ("date_done", "task_name", "status", "task_args", "worker")
    list_filter = ("status",)
    search_fields = ("=task_id", "=task_name", "=worker")
    ordering = ("-date_done",)
    fields = (
        "task_id",
        "task_name",
        "task_args",
        "task_kwargs",
        "status",
        "worker",
        "date_created",
        "date_started",
        "date_done",
        "result",
        "traceback",
    )
