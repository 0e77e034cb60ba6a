"""The admin of fleets and runners."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from products.admin_base import BoundedAdmin, ReadOnlyAdmin
from products.forms import refuse_some_of_all
from runners.models import Fleet, Runner
from runners.presence import runners_with_state
from runners.querysets import served_queues
from runners.registry import request_drain


class FleetForm(forms.ModelForm[Fleet]):
    """Who may use the queue, and what its runners give to jobs."""

    class Meta:
        model = Fleet
        fields = [
            "name",
            "queue",
            "description",
            "all_products",
            "products",
            "job_path",
            "root_jobs",
        ]

    def clean(self) -> dict[str, Any]:
        """Refuse a choice of products beside all products."""
        given = super().clean() or {}
        refuse_some_of_all(self, given)
        return given


@admin.register(Fleet)
class FleetAdmin(BoundedAdmin):
    """Fleets: who may use which queue, and what its runners give to jobs."""

    form = FleetForm
    list_display = ("name", "queue", "description", "all_products", "is_served", "root_jobs")
    search_fields = ("name", "queue", "description")
    filter_horizontal = ("products",)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Return what a new fleet has ticked: all products."""
        return {"all_products": True, **super().get_changeform_initial_data(request)}

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Return the list; which queues are served is read once for all rows."""
        self._served = served_queues()
        return super().changelist_view(request, extra_context)

    @admin.display(boolean=True, description="served")
    def is_served(self, fleet: Fleet) -> bool:
        """Return whether some living runner claims from the fleet's queue."""
        return fleet.queue in self._served


@admin.register(Runner)
class RunnerAdmin(ReadOnlyAdmin):
    """Runners as they have registered; they can be asked to drain, and forgotten once gone."""

    list_display = (
        "name",
        "state",
        "host",
        "queue_names",
        "slots",
        "isolation",
        "version",
        "heartbeat_at",
        "attempts",
    )
    list_filter = ("said", "isolation")
    search_fields = ("name", "host")
    actions = ("drain_runners",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the runners with their state as people see it."""
        return runners_with_state()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may forget runners; one that lives comes back by itself."""
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    def has_drain_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may ask runners to drain."""
        return request.user.has_perm("runners.change_runner")

    @admin.action(description="Drain: claim nothing more and leave", permissions=["drain"])
    def drain_runners(self, request: HttpRequest, runners: QuerySet[Any]) -> None:
        """Ask the chosen runners to drain."""
        for runner in runners:
            request_drain(runner)
        names = ", ".join(runner.name for runner in runners)
        sentence = f"Asked to drain: {names}. Their running jobs go on to the end."
        self.message_user(request, sentence, messages.SUCCESS)

    @admin.display(ordering="state")
    def state(self, runner: Any) -> str:
        """Return the state; silence means offline."""
        return str(runner.state)

    @admin.display(description="queues")
    def queue_names(self, runner: Runner) -> str:
        """Return the queues, parted by commas."""
        return ", ".join(runner.queues)

    @admin.display(description="attempts")
    def attempts(self, runner: Runner) -> str:
        """Return a link to the attempts of the runner, newest first."""
        address = reverse("admin:runs_attempt_changelist")
        query = urlencode({"q": runner.name})
        return format_html('<a href="{}?{}">show</a>', address, query)
