"""Whether this process can serve: /healthz for supervisors, /readyz for load balancers."""

from __future__ import annotations

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from products.errors import PlatformError

_NAMED = 5


class NotReadyError(PlatformError):
    """The database is not there, or not as this version needs it."""

    code = "database.not-ready"

    @property
    def detail(self) -> str:
        """Return what the database said of it, for operators; in one line, often empty."""
        return str(self.__cause__ or "").strip().partition("\n")[0]


def check_database() -> None:
    """Raise NotReadyError unless the database answers and has all migrations."""
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        raise NotReadyError("The database cannot be reached.") from error
    if missing:
        names = ", ".join(f"{each.app_label}.{each.name}" for each, _ in missing[:_NAMED])
        raise NotReadyError(
            f"{len(missing)} migrations are not applied, beginning with {names}. "
            "Run manage.py migrate."
        )


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer 200: the process is up and answers."""
    return _sentence("Conveyor is up.", 200)


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 when the database is there and its migrations are applied, else 503 and why."""
    try:
        check_database()
    except NotReadyError as error:
        return _sentence(f"Not ready: {error}", 503)
    return _sentence("Conveyor is ready.", 200)


def _sentence(text: str, status: int) -> HttpResponse:
    return HttpResponse(f"{text}\n", content_type="text/plain; charset=utf-8", status=status)
