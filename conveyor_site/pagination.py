"""Cursors for all lists of the API: constant cost at any depth, never a count."""

from __future__ import annotations

from rest_framework.pagination import CursorPagination


class TimeCursorPagination(CursorPagination):
    """Newest first; UUIDv7 keys sort by time of creation."""

    ordering = "-id"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
