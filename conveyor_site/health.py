"""Whether this process can serve: /healthz for supervisors, /readyz for load balancers."""

from __future__ import annotations

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer 200: the process is up and answers."""
    return _sentence("Conveyor is up.", 200)


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 when the database is there and its migrations are applied, else 503 and why."""
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return _sentence("Not ready: the database cannot be reached.", 503)
    if missing:
        names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in missing[:5])
        return _sentence(
            f"Not ready: {len(missing)} migrations are not applied, beginning with {names}. "
            "Run manage.py migrate.",
            503,
        )
    return _sentence("Conveyor is ready.", 200)


def _sentence(text: str, status: int) -> HttpResponse:
    return HttpResponse(f"{text}\n", content_type="text/plain; charset=utf-8", status=status)
