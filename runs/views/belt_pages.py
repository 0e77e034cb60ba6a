"""The page of a belt, and starting it."""

from __future__ import annotations

import re
from typing import Any

from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from belts.forms import StartForm
from belts.models import Belt
from products.errors import PlatformError, UserError
from products.models import Product
from products.pages import Page, PageAction, found, may_operate
from runs.errors import BeltArchivedError, BeltGoneError
from runs.models import BeltRun
from runs.start import start_belt_run

_PAGE = 30
#: Which field of the form the codes of errors are about.
_FIELDS = {
    "run.parameter": "parameters",
    "source.none": "ref",
    "source.ref-missing": "ref",
    "belt.not-at-commit": "ref",
}
#: After these errors the page has no form that could be filled in again.
_WITHOUT_FORM = (BeltArchivedError, BeltGoneError)
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
        """Return the context; ``more`` is the parameter of the next page of runs."""
        belt = visible_belt(self.request, path.pop("product"), path.pop("belt"))
        return super().get_context_data(
            **belt_context(self.request, belt, before=self.request.GET.get("before", "")), **path
        )


def belt_context(
    request: HttpRequest, belt: Belt, *, form: StartForm | None = None, before: str = ""
) -> dict[str, Any]:
    """Return the context of a belt's page, with ``form`` as it was sent."""
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
        raise Http404("This page of runs does not exist.")
    number, round_ = int(match[1]), int(match[2])
    return ordered.filter(
        Q(number__lt=number) | Q(number=number, round__lt=round_), number__lte=number
    )


class StartBelt(PageAction):
    """The button that starts a belt."""

    http_method_names = ["post", "get", "head", "options"]

    def subject(self, **path: Any) -> tuple[Belt, Product]:
        """Return the belt that the path names."""
        belt = visible_belt(self.request, path["product"], path["belt"])
        return belt, belt.product

    def get(self, request: HttpRequest, **path: Any) -> HttpResponse:
        """Redirect to the page with the form; a form with errors has this address."""
        return redirect(self.subject(**path)[0])

    def act(self, row: Belt) -> Any:
        """Start the belt; errors are shown in the form, which keeps its input."""
        form = StartForm(self.request.POST)
        if not form.is_valid():
            return self._again(row, form)
        try:
            return start_belt_run(row, user=self.request.user, **form.cleaned_data)
        except UserError as error:
            if isinstance(error, _WITHOUT_FORM):
                raise
            form.add_error(_FIELDS.get(error.code), str(error))
            return self._again(row, form)
        except PlatformError as error:
            form.add_error(None, str(error))
            return self._again(row, form, status=error.http_status)

    def _again(self, belt: Belt, form: StartForm, *, status: int = 400) -> HttpResponse:
        context = belt_context(self.request, belt, form=form)
        return render(self.request, BeltPage.template_name, context, status=status)
