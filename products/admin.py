"""The admin of products, sources, credentials, tokens and the configuration of the site."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, Prefetch, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.views.decorators.debug import sensitive_post_parameters

import products.admin_records  # noqa: F401  # registers them
from products.admin_base import BoundedAdmin, BoundedInline, counted
from products.catalogue import archive_product, restore_product
from products.credentials import set_value, why_closed
from products.forms import (
    ConfigurationForm,
    CredentialForm,
    MembershipForm,
    SourceForm,
    TokenForm,
)
from products.git.access import ANYBODY
from products.git.logins import shown
from products.models import (
    ApiToken,
    Configuration,
    Credential,
    Membership,
    Product,
    Source,
)
from products.polling import poll_sources
from products.shared_settings import KEYS, unshared_settings
from products.tokens import issue_token

_MOST_LOOKS = 8
_SHORT_COMMIT = 12
_MOST_BOUND = 5


# --- Products -------------------------------------------------------------------------------------
class MembershipInline(BoundedInline, admin.TabularInline[Membership, Product]):
    """The members of the product, with their roles."""

    model = Membership
    form = MembershipForm
    autocomplete_fields = ("user",)
    extra = 0


class SourceInline(BoundedInline, admin.StackedInline[Source, Product]):
    """The product's repository."""

    model = Source
    form = SourceForm
    fields = ("url", "path", "credential", "poll", "poll_interval_s", "error", "warning")
    readonly_fields = ("error", "warning")
    autocomplete_fields = ("credential",)
    extra = 0
    max_num = 1


@admin.register(Product)
class ProductAdmin(BoundedAdmin):
    """Products. A product that is no longer needed is archived, because its runs stay."""

    list_display = ("name", "managed_by", "source_url", "archived_at", "page")
    list_filter = ("managed_by", ("archived_at", admin.EmptyFieldListFilter))
    list_select_related = ("source",)
    search_fields = ("name", "source__url")
    fields = ("name", "description", "managed_by", "created_at", "archived_at")
    inlines = (SourceInline, MembershipInline)
    actions = ("archive_products", "restore_products", "look_now")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Return what is not edited here; name and description of a file are edited there."""
        always = ["managed_by", "created_at", "archived_at"]
        is_file = isinstance(obj, Product) and obj.is_file_managed
        return [*always, "name", "description"] if is_file else always

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return False: all runs would go with it."""
        return False

    @admin.display(description="source", ordering="source__url")
    def source_url(self, product: Product) -> str:
        """Return the address of the product's repository, if it has one."""
        source: Source | None = getattr(product, "source", None)
        return shown(source.url) if source is not None else "-"

    @admin.display(description="page")
    def page(self, product: Product) -> str:
        """Return a link to the product's page."""
        return format_html('<a href="{}">belts and runs</a>', product.get_absolute_url())

    @admin.action(description="Archive: start no more runs", permissions=["change"])
    def archive_products(self, request: HttpRequest, products: QuerySet[Product]) -> None:
        """Take products out of service."""
        done = sum(archive_product(product) for product in products)
        self.message_user(request, f"Archived {counted(done, 'product')}. Their runs stay.")

    @admin.action(description="Restore from the archive", permissions=["change"])
    def restore_products(self, request: HttpRequest, products: QuerySet[Product]) -> None:
        """Put products into service again."""
        done = sum(restore_product(product) for product in products)
        self.message_user(request, f"Restored {counted(done, 'product')}.")

    @admin.action(description="Check the sources for new commits now", permissions=["change"])
    def look_now(self, request: HttpRequest, products: QuerySet[Product]) -> None:
        """Look at the products' repositories."""
        _look_now(self, request, Source.objects.filter(product__in=products))


def _look_now(page: BoundedAdmin, request: HttpRequest, sources: QuerySet[Source]) -> None:
    """Poll the first sources in this request; make the rest due for the orchestrators."""
    ids = list(sources.values_list("pk", flat=True))
    first, rest = ids[:_MOST_LOOKS], ids[_MOST_LOOKS:]
    made = poll_sources(first)
    found = counted(made, "new event") if made else "nothing new"
    page.message_user(request, f"Checked {counted(len(first), 'source')}: {found}.")
    if rest:
        Source.objects.filter(pk__in=rest).update(due_at=Now())
        page.message_user(
            request, f"{counted(len(rest), 'other source')} will be checked in the background."
        )
    for source in Source.objects.filter(pk__in=first).exclude(error="").select_related("product"):
        page.message_user(request, f"{source.product}: {source.error}", messages.ERROR)
    for source in Source.objects.filter(pk__in=first).exclude(warning="").select_related("product"):
        page.message_user(request, f"{source.product}: {source.warning}", messages.WARNING)


@admin.register(Membership)
class MembershipAdmin(BoundedAdmin):
    """The members of all products, with their roles."""

    form = MembershipForm
    list_display = ("product", "user", "role")
    list_filter = ("role",)
    list_select_related = ("product", "user")
    search_fields = ("=product__name", "=user__username")
    autocomplete_fields = ("product", "user")


# --- Sources --------------------------------------------------------------------------------------
@admin.register(Source)
class SourceAdmin(BoundedAdmin):
    """Repositories, with the result of the last poll."""

    form = SourceForm
    list_display = ("product", "url", "default_branch", "head", "polled_at", "due_at", "trouble")
    list_filter = (
        "poll",
        ("error", admin.EmptyFieldListFilter),
        ("warning", admin.EmptyFieldListFilter),
    )
    list_select_related = ("product",)
    search_fields = ("product__name", "url")
    autocomplete_fields = ("product", "credential")
    readonly_fields = (
        "default_branch",
        "head_commit",
        "first_seen_at",
        "polled_at",
        "due_at",
        "error",
        "warning",
    )
    actions = ("look_now",)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Return what polling writes, and of a source that is there its product."""
        return [*self.readonly_fields, *(["product"] if obj is not None else [])]

    @admin.display(description="head")
    def head(self, source: Source) -> str:
        """Return the short commit of the default branch."""
        return source.head_commit[:_SHORT_COMMIT]

    @admin.display(description="error", ordering="error")
    def trouble(self, source: Source) -> str:
        """Return why the last poll failed, or what it passed over."""
        return source.error or source.warning

    @admin.action(description="Check for new commits now", permissions=["change"])
    def look_now(self, request: HttpRequest, sources: QuerySet[Source]) -> None:
        """Look at repositories."""
        _look_now(self, request, sources)


# --- Credentials and tokens -----------------------------------------------------------------------
@method_decorator(sensitive_post_parameters("value"), name="changeform_view")
@admin.register(Credential)
class CredentialAdmin(BoundedAdmin):
    """Credentials. A value can be written here and is never shown."""

    form = CredentialForm
    fields = (
        "name",
        "kind",
        "value",
        "variable",
        "username",
        "products",
        "created_at",
        "changed_at",
        "used_at",
    )
    list_display = ("name", "kind", "variable", "username", "bound_to", "changed_at", "used_at")
    list_filter = ("kind",)
    search_fields = ("name", "=products__name")
    autocomplete_fields = ("products",)
    readonly_fields = ("created_at", "changed_at", "used_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Credential]:
        """Return credentials, with the products that the list names: one query for all."""
        rows: QuerySet[Credential] = super().get_queryset(request)
        few = Product.objects.order_by("name")[: _MOST_BOUND + 1]
        return rows.prefetch_related(Prefetch("products", few, to_attr="bound"))

    @admin.display(description="products")
    def bound_to(self, credential: Credential) -> str:
        """Return the names of the first products that may use it."""
        names = [product.name for product in credential.bound]  # type: ignore[attr-defined]
        more = " and more" if len(names) > _MOST_BOUND else ""
        return f"{', '.join(names[:_MOST_BOUND])}{more}" or "none: nothing can use it"

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Return the form, with a warning above it if the value cannot be opened."""
        credential = self.get_object(request, object_id)
        if request.method == "GET" and isinstance(credential, Credential):
            why = why_closed(credential)
            if why is not None:
                messages.warning(request, why)
        return super().change_view(request, object_id, form_url, extra_context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Store the credential, and seal its value if one was given."""
        super().save_model(request, obj, form, change)
        if obj.kind == Credential.Kind.GIT and not obj.username:
            messages.warning(
                request,
                f"The credential {obj.name} has no username, so {ANYBODY!r} is sent. Some hosts "
                "accept this with a token. For a password, enter the account's name.",
            )
        value = form.cleaned_data["value"]
        if value:
            set_value(obj, value)
            for unshared in unshared_settings(KEYS):
                messages.warning(request, f"No other machine can open this value: {unshared}")


@admin.register(ApiToken)
class ApiTokenAdmin(BoundedAdmin):
    """Tokens of programs: shown once when they are made; deleting one revokes it."""

    form = TokenForm
    list_display = ("name", "user", "prefix", "allows", "created_at", "expires_at", "used_at")
    list_select_related = ("user",)
    search_fields = ("name", "=user__username", "prefix")
    autocomplete_fields = ("user", "products")

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        """Return what is chosen for a new token, or what is known of one."""
        if obj is None:
            return ["user", "name", "scopes", "days", "all_products", "products"]
        known = ["user", "name", "prefix", "allows", "all_products", "products"]
        return [*known, "created_at", "expires_at", "used_at"]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Return what a new token has ticked: all products."""
        return {"all_products": True, **super().get_changeform_initial_data(request)}

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Return all fields of a token that is there."""
        return [] if obj is None else self.get_fields(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return False: instead of changing a token, make a new one."""
        return False

    @admin.display(description="scopes")
    def allows(self, token: ApiToken) -> str:
        """Return the scopes as text."""
        return ", ".join(token.scopes)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Issue the token and show it, this once."""
        given = form.cleaned_data
        issued = issue_token(
            given["user"],
            name=given["name"],
            scopes=given["scopes"],
            all_products=given["all_products"],
            products=given["products"],
            days=given["days"],
        )
        obj.pk = issued.row.pk
        obj.refresh_from_db()
        self.message_user(
            request,
            f"The token is {issued.text} and is shown only now. Copy it to where it is needed.",
            messages.WARNING,
        )


# --- The site -------------------------------------------------------------------------------------
@admin.register(Configuration)
class ConfigurationAdmin(BoundedAdmin):
    """The site's configuration: one row, so its list is its form."""

    form = ConfigurationForm

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Lead to the row, or to the form with the defaults where it was never stored."""
        if Configuration.objects.exists():
            return redirect("admin:products_configuration_change", 1)
        return redirect("admin:products_configuration_add")

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Return the form, which offers to add no other row."""
        context = {**(extra_context or {}), "show_save_and_add_another": False}
        return super().changeform_view(request, object_id, form_url, context)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether the row is not there yet."""
        return super().has_add_permission(request) and not Configuration.objects.exists()

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return False."""
        return False
