"""The app of the site. It imports all other apps, and no app imports it."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks

from products.signals import outbox_written


class ConveyorSiteConfig(AppConfig):
    """Connects the receiver of the signal, the embedded queue and the system checks."""

    name = "conveyor_site"

    def ready(self) -> None:
        """Connect them, in every process of the site."""
        # Models can be imported only now.
        from conveyor_site.checks import check_queue, check_shared, check_times  # noqa: PLC0415
        from conveyor_site.embedded import ensure_embedded_queue  # noqa: PLC0415
        from conveyor_site.receivers import publish_written  # noqa: PLC0415
        from runners.broker import use_embedded_queue  # noqa: PLC0415

        outbox_written.connect(publish_written, dispatch_uid="conveyor_site.publish_written")
        use_embedded_queue(ensure_embedded_queue)
        for check in (check_times, check_queue, check_shared):
            checks.register(check, "conveyor")
