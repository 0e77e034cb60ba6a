"""What a test session is set up with before Django reads its settings.

Nothing of a developer's own site is touched: all ``CONVEYOR_*`` variables are dropped and the data
folder is a temporary one. ``pytest`` runs on SQLite; ``pytest --postgres`` runs the tests marked
``database`` on a PostgreSQL cluster of its own, or on the server that
``CONVEYOR_TEST_DATABASE_URL`` names (its user must be allowed to create databases).
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import django
from django.conf import settings

from tests.postgres import PostgresServer

OPTION = "--postgres"
SERVER_URL = "CONVEYOR_TEST_DATABASE_URL"
#: An address without a server: messages of this process reach no queue and start none.
DEAD_BROKER = "redis://127.0.0.1:9/0"


@dataclass
class Session:
    """The temporary data folder, and the cluster if this process started one."""

    data: Path
    server: PostgresServer | None
    on_postgres: bool

    def end(self) -> None:
        """Remove what the session made."""
        if self.server is not None:
            self.server.close()
            os.environ.pop(SERVER_URL, None)
        shutil.rmtree(self.data, ignore_errors=True)


def begin() -> Session:
    """Set the environment up, load the settings and start Django.

    The command line is read here because conftest files below may import models when pytest has
    not parsed its options yet. Workers of pytest-xdist have no command line; they inherit the URL.
    """
    # A shell starts what it puts into the background deaf to Ctrl-C, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in [
        name for name in os.environ if name.startswith("CONVEYOR_") and name != SERVER_URL
    ]:
        del os.environ[name]
    server = PostgresServer() if OPTION in sys.argv and SERVER_URL not in os.environ else None
    if server is not None:
        os.environ[SERVER_URL] = server.url()
    on_postgres = SERVER_URL in os.environ
    data = Path(tempfile.mkdtemp(prefix="conveyor-test-"))
    os.environ["DJANGO_SETTINGS_MODULE"] = "conveyor_site.settings"
    os.environ["CONVEYOR_DATA_DIR"] = str(data)
    os.environ["CONVEYOR_BROKER_URL"] = DEAD_BROKER
    if on_postgres:
        os.environ["CONVEYOR_DATABASE_URL"] = os.environ[SERVER_URL]
    else:
        # A file and not memory: threads share it as processes do.
        settings.DATABASES["default"]["TEST"] = {"NAME": str(data / "test.sqlite3")}
    django.setup()
    # A worker of pytest-xdist that inherited it would load the settings before this function.
    del os.environ["DJANGO_SETTINGS_MODULE"]
    return Session(data, server, on_postgres)
