"""The one signal of the system; see ARCHITECTURE.md."""

from __future__ import annotations

from django.dispatch import Signal

#: Sent after the commit that wrote outbox rows, with ``rows``: a list of (id, kind, payload).
#: Receivers only make haste: what they fail to do is done by the reconciler.
outbox_written = Signal()
