"""Paths of the runners app, and of the pages of runs that ask for runners."""

from __future__ import annotations

from django.urls import path

from runners.unserved import unserved_queues
from runners.views import RunnersPage
from runs.urls import run_pages

urlpatterns = [
    path("runners/", RunnersPage.as_view(), name="runners"),
    *run_pages(unserved_queues),
]
