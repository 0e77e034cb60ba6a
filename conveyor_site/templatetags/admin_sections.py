"""The index of the admin by purpose: what operators set up first, what the engine keeps last."""

from __future__ import annotations

from typing import Any

from django import template
from django.urls import reverse

register = template.Library()

#: Sections with the models that they list, in their order.
_SECTIONS = (
    (
        "Set up",
        "set-up",
        (
            *("Product", "Source", "Credential", "User", "Membership", "ApiToken", "Fleet"),
            *("Group", "Configuration"),
        ),
    ),
    ("Belts of products that the admin manages", "belts", ("Belt", "Job", "Trigger")),
    ("Runs and runners", "runs", ("BeltRun", "JobRun", "Attempt", "Event", "Runner")),
)
_REST = ("Records of the engine", "records")


@register.filter
def by_purpose(apps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the models of an admin's list of apps in sections by purpose; empty ones are left out.

    What no section names is among the records.
    """
    models = {each["object_name"]: each for app in apps for each in app["models"]}
    sections = [
        _section(title, label, [models.pop(name) for name in names if name in models])
        for title, label, names in _SECTIONS
    ]
    sections.append(_section(*_REST, list(models.values())))
    return [each for each in sections if each["models"]]


def _section(title: str, label: str, models: list[dict[str, Any]]) -> dict[str, Any]:
    index = reverse("admin:index")
    return {"name": title, "app_label": label, "app_url": f"{index}#{label}", "models": models}
