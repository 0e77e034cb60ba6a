"""How states, times and reasons are shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from runs.durations import in_words, length_of
from runs.sentences import why

register = template.Library()
register.filter("sentence", why)


@register.inclusion_tag("components/_state.html")
def state(value: str) -> dict[str, str]:
    """Show a state: a mark in its colour beside its name."""
    return {"state": str(value)}


@register.filter
def moment(value: datetime | None) -> SafeString | str:
    """Show an instant: day and time, with the year when it is not today; all of it as a title.

    The zone is the site's, and named.
    """
    if value is None:
        return ""
    local = timezone.localtime(value)
    today = local.date() == timezone.localdate()
    text = local.strftime(f"{local.day} %b " + ("%H:%M:%S %Z" if today else "%Y %H:%M %Z"))
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        value.isoformat(timespec="seconds"),
        local.strftime("%Y-%m-%d %H:%M:%S %Z"),
        text,
    )


@register.filter
def took(row: Any) -> SafeString | str:
    """Show how long a run or attempt took, or has taken so far (the script lets that tick)."""
    if row.started_at is None:
        return ""
    if row.finished_at is not None:
        return length_of(row)
    return format_html(
        '<time data-since="{}">{}</time>',
        row.started_at.isoformat(timespec="milliseconds"),
        in_words((timezone.now() - row.started_at).total_seconds()),
    )


@register.filter
def short(commit: str) -> str:
    """Return the first characters of a commit, by which people know it."""
    return str(commit)[:10]


@register.filter
def at(mapping: dict[Any, Any], key: Any) -> Any:
    """Return the entry of a mapping, or an empty text."""
    return mapping.get(key, "")


@register.filter
def listed(value: Any) -> str:
    """Return a value of a belt file in one line: a list with commas, anything else as it is."""
    return ", ".join(str(each) for each in value) if isinstance(value, list) else str(value)


@register.filter
def named(entries: Any) -> str:
    """Return the entries of ``inputs`` or ``outputs`` in one line, each by its name."""
    return ", ".join(_name_of(each) for each in entries) if isinstance(entries, list) else ""


def _name_of(entry: Any) -> str:
    if not isinstance(entry, dict):
        return str(entry)
    if "name" in entry or "from" in entry:
        return str(entry.get("name", entry.get("from")))
    return ", ".join(str(value) for value in entry.values())
