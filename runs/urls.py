"""Paths of the pages of products, belts and runs.

The pages of runs warn about queues that no runner serves. Runners belong to a higher app, so that
app passes the function that finds the served queues.
"""

from __future__ import annotations

from django.urls import URLPattern, path

from products.path_names import NameConverter
from runs.queue_warnings import UnservedQueues
from runs.views.belt_pages import BeltPage, StartBelt
from runs.views.belt_runs import BeltRunPage, CancelBeltRun, RerunBeltRun
from runs.views.job_runs import CancelJobRun, JobRunPage
from runs.views.product_pages import ProductList, ProductPage

__all__ = ["NameConverter", "run_pages", "urlpatterns"]

urlpatterns = [
    path("products/", ProductList.as_view(), name="products"),
    path("products/<name:name>/", ProductPage.as_view(), name="product"),
    path("products/<name:product>/belts/<name:belt>/", BeltPage.as_view(), name="belt"),
    path(
        "products/<name:product>/belts/<name:belt>/start/", StartBelt.as_view(), name="start-belt"
    ),
    path("belt-runs/<uuid:pk>/cancel/", CancelBeltRun.as_view(), name="cancel-belt-run"),
    path("belt-runs/<uuid:pk>/rerun/", RerunBeltRun.as_view(), name="rerun-belt-run"),
    path("job-runs/<uuid:pk>/cancel/", CancelJobRun.as_view(), name="cancel-job-run"),
]


def run_pages(unserved_queues: UnservedQueues) -> list[URLPattern]:
    """Return the paths of the pages that ask which queues are served."""
    belt_run = BeltRunPage.as_view(unserved_queues=unserved_queues)
    job_run = JobRunPage.as_view(unserved_queues=unserved_queues)
    return [
        path("belt-runs/<uuid:pk>/", belt_run, name="belt-run"),
        path("job-runs/<uuid:pk>/", job_run, name="job-run"),
    ]
