"""The page of a belt, and starting it."""

from __future__ import annotations

import re
from typing import Any

from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest
from django.shortcuts import render

from belts.forms import StartForm
from belts.models import Belt
from products.models import Product
from products.pages import Page, PageAction, found, may_operate
from runs.models import BeltRun
from runs.start import start_belt_run

_PAGE = 30
_BEFORE = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})", re.ASCII)


def visible_belt(request: HttpRequest, product: str, belt: str) -> Belt:
    """Return the belt of that name; raises Http404."""
    belts = Belt.objects.visible_to(request.user).named(product, belt)
    found_belt: Belt = found(belts, f"belt {product}.{belt}")
    return found_belt


class BeltPage(Page):
    """The runs of a belt, its jobs, and the form that starts it."""

    template_name = "runs/belt_detail.html"

    def get_context_data(self, **path: Any) -> dict[str, Any]:
        """Return what the page shows; ``more`` is where the next page of runs begins."""
        belt = visible_belt(self.request, path.pop("product"), path.pop("belt"))
        return super().get_context_data(
            **belt_context(self.request, belt, before=self.request.GET.get("before", "")), **path
        )


def belt_context(
    request: HttpRequest, belt: Belt, *, form: StartForm | None = None, before: str = ""
) -> dict[str, Any]:
    """Return what the page of a belt shows, with ``form`` as a person filled it in."""
    runs = list(_runs_before(BeltRun.objects.filter(belt=belt), before)[: _PAGE + 1])
    last = runs[_PAGE - 1] if len(runs) > _PAGE else None
    return {
        "belt": belt,
        "jobs": belt.jobs.all(),
        "runs": runs[:_PAGE],
        "more": f"{last.number}.{last.round}" if last else "",
        "form": form or StartForm(),
        "may_operate": may_operate(request, belt.product),
    }


def _runs_before(runs: QuerySet[BeltRun], before: str) -> QuerySet[BeltRun]:
    ordered = runs.select_related("belt__product").order_by("-number", "-round")
    if not before:
        return ordered
    match = _BEFORE.fullmatch(before)
    if match is None:
        raise Http404("There is no such page of runs.")
    number, round_ = int(match[1]), int(match[2])
    return ordered.filter(
        Q(number__lt=number) | Q(number=number, round__lt=round_), number__lte=number
    )


class StartBelt(PageAction):
    """The button that starts a belt."""

    def subject(self, **path: Any) -> tuple[Belt, Product]:
        """Return the belt that the path names."""
        belt = visible_belt(self.request, path["product"], path["belt"])
        return belt, belt.product

    def act(self, row: Belt) -> Any:
        """Start it; a form with mistakes is shown again."""
        form = StartForm(self.request.POST)
        if not form.is_valid():
            context = belt_context(self.request, row, form=form)
            return render(self.request, BeltPage.template_name, context, status=400)
        return start_belt_run(row, user=self.request.user, **form.cleaned_data)
