"""The page of a product, and the list of all products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from belts.commit_files import broken_at, broken_files, last_file
from belts.models import Belt
from belts.upstreams import Upstream, upstreams_of
from products.models import Product
from products.pages import Page, found, may_operate
from runs.recent_runs import belts_with_recent_runs, last_runs

_PAGE = 100
_SHOWN_EVENTS = 8


@dataclass(frozen=True, slots=True)
class ShownUpstream:
    """What starts belts of a product; of a product that the reader may not see only that."""

    upstream: Upstream
    is_visible: bool


def _shown_upstreams(product: Product, visible: QuerySet[Product]) -> list[ShownUpstream]:
    upstreams = upstreams_of(product)
    products = {each.belt.product_id for each in upstreams}
    seen = set(visible.filter(pk__in=products).values_list("pk", flat=True)) if products else set()
    return [ShownUpstream(each, each.belt.product_id in seen) for each in upstreams]


class ProductPage(Page):
    """Belts with their recent runs, triggers, the source and its problems."""

    template_name = "runs/product_detail.html"

    def get_context_data(self, **path: Any) -> dict[str, Any]:
        """Return what the page shows."""
        visible = Product.objects.visible_to(self.request.user).select_related("source")
        product = found(visible, "product", name=path["name"])
        belts = Belt.objects.filter(product=product).select_related("product")
        shown = belts_with_recent_runs(belts.order_by("position", "name"))
        runs = [run for each in shown for run in each.recent]
        events = list(product.events.order_by("-id")[:_SHOWN_EVENTS])
        return super().get_context_data(
            product=product,
            source=getattr(product, "source", None),
            belts=[each for each in shown if each.belt.archived_at is None],
            archived=[each for each in shown if each.belt.archived_at is not None],
            triggers=product.triggers.all(),
            upstreams=_shown_upstreams(product, Product.objects.visible_to(self.request.user)),
            last_file=last_file(product) if product.is_file_managed else None,
            events=events,
            broken=broken_at(product, (event.commit for event in events)),
            runs=sorted(runs, key=lambda run: run.id, reverse=True)[:10],
            may_operate=may_operate(self.request, product),
            **path,
        )


class ProductList(Page):
    """All products by name."""

    template_name = "runs/product_list.html"

    def get_context_data(self, **path: Any) -> dict[str, Any]:
        """Return a page of products; ``more`` is the name after which the next begins."""
        visible = Product.objects.visible_to(self.request.user).select_related("source")
        after = self.request.GET.get("after", "").replace("\0", "")
        products = list(visible.filter(name__gt=after).order_by("name")[: _PAGE + 1])
        more = products[_PAGE - 1].name if len(products) > _PAGE else ""
        shown = products[:_PAGE]
        broken = set(broken_files(shown).values_list("product", flat=True))
        return super().get_context_data(
            products=shown, last_runs=last_runs(shown), broken=broken, more=more, **path
        )
