"""The one signal of the system; see ARCHITECTURE.md."""

from __future__ import annotations

from django.dispatch import Signal

#: Sent after the commit that wrote outbox rows, with ``rows``: a list of (id, kind, payload).
#: Receivers only save time: the reconciler does the work of receivers that fail.
outbox_written = Signal()
