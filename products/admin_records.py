"""The admin of what the platform records by itself: refs, events, duties and the outbox."""

from __future__ import annotations

from django.contrib import admin

from products.admin_base import ReadOnlyAdmin
from products.models import Duty, Event, OutboxRow, SeenRef

_SHORT_COMMIT = 12


@admin.register(SeenRef)
class SeenRefAdmin(ReadOnlyAdmin):
    """The commits of branches and tags at the last poll."""

    list_display = ("source", "ref", "commit")
    list_select_related = ("source__product",)
    search_fields = ("=source__product__name", "=ref", "=commit")
    ordering = ("-id",)


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """Events of sources and schedules, newest first, with their outcome."""

    list_display = ("created_at", "product", "what", "ref", "short", "origin", "outcome")
    list_filter = ("origin", "tainted", ("handled_at", admin.EmptyFieldListFilter))
    list_select_related = ("product",)
    search_fields = ("=product__name", "=commit", "=branch")
    ordering = ("-id",)

    @admin.display(description="what")
    def what(self, event: Event) -> str:
        """Return the kinds of the event."""
        return ", ".join(event.kinds)

    @admin.display(description="commit")
    def short(self, event: Event) -> str:
        """Return the short commit."""
        return event.commit[:_SHORT_COMMIT]


@admin.register(Duty)
class DutyAdmin(ReadOnlyAdmin):
    """Periodic duties: their due times, and the process that performed them last."""

    list_display = ("name", "due_at", "claimed_until", "done_at", "done_by", "error")
    search_fields = ("name",)


@admin.register(OutboxRow)
class OutboxRowAdmin(ReadOnlyAdmin):
    """Work that must follow a commit. A row is deleted when its work is done."""

    list_display = ("kind", "key", "due_at", "claimed_until", "tries", "error", "created_at")
    list_filter = ("kind", ("error", admin.EmptyFieldListFilter))
    search_fields = ("=key",)
    ordering = ("id",)
