"""The page of runners and fleets."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from products.models import Product
from products.pages import Page
from runners.models import Fleet
from runners.presence import fleets_of_products, runners_with_state

_MOST = 500


class RunnersPage(Page):
    """Who works here, for which queues, and how jobs are kept apart from them."""

    template_name = "runners/runner_list.html"

    def get_context_data(self, **path: Any) -> dict[str, Any]:
        """Return what the page shows."""
        user = self.request.user
        fleets = (
            Fleet.objects.order_by("name")
            if getattr(user, "is_staff", False)
            else fleets_of_products(Product.objects.visible_to(user))
        )
        runners = list(runners_with_state()[:_MOST])
        served = {queue for each in runners if each.state == "online" for queue in each.queues}
        return super().get_context_data(
            runners=runners,
            fleets=fleets[:_MOST],
            served=served,
            offline_after_s=settings.CONVEYOR_TIMES["offline"],
            **path,
        )
