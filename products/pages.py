"""The ground of all pages: who is not logged in is asked to, and what is not seen is not there."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar

from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.views.generic import TemplateView, View

from products.errors import ConveyorError
from products.models import Product


def found(rows: QuerySet[Any], what: str, **by: Any) -> Any:
    """Return the one row; raises Http404 with a sentence that says ``what`` there is none of."""
    row: Model | None = rows.filter(**by).first()
    if row is None:
        raise Http404(f"There is no {what} here that you may see.")
    return row


def may_operate(request: HttpRequest, product: Product) -> bool:
    """Return whether the user may start, cancel and rerun the product's belts."""
    return Product.objects.operable_by(request.user).filter(pk=product.pk).exists()


class Page(LoginRequiredMixin, TemplateView):
    """A page; it only ever reads."""

    http_method_names = ["get", "head", "options"]


class PageAction(LoginRequiredMixin, View):
    """A button of a page: does one thing and leads to a page that shows it."""

    http_method_names = ["post", "options"]
    done: ClassVar[str] = ""

    def post(self, request: HttpRequest, **path: Any) -> HttpResponse:
        """Do it; a refusal is shown as a message on the page where the button is.

        Raises Http404 with the sentence where that page is gone.
        """
        row, product = self.subject(**path)
        if not may_operate(request, product):
            raise PermissionDenied(
                f"You may see the product {product.name}, but not start, cancel or rerun its "
                "belts. Staff can give you the role operator in the admin, under Memberships."
            )
        try:
            result = self.act(row)
        except ConveyorError as error:
            if error.http_status == HTTPStatus.NOT_FOUND:
                raise Http404(str(error)) from error
            messages.error(request, str(error))
            return redirect(row)
        if isinstance(result, HttpResponse):
            return result
        if self.done:
            messages.success(request, self.done)
        return HttpResponseRedirect(result.get_absolute_url())

    def subject(self, **path: Any) -> tuple[Any, Product]:
        """Return the row that the button is about, and its product; raises Http404."""
        raise NotImplementedError

    def act(self, row: Any) -> Any:
        """Do it; return the row whose page comes next, or an answer. May raise ConveyorError."""
        raise NotImplementedError
