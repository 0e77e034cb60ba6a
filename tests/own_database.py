"""A migrated database of a test's own, which its process shares with those that it starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from django.conf import settings
from django.db import connections
from django.db.utils import load_backend

from conveyor_site.database_url import database_from_url, sqlite_database

REPOSITORY = Path(__file__).resolve().parents[1]
FILE = "conveyor.sqlite3"
_TEMPLATE = f"conveyor_fresh_{os.getpid()}"
_numbers = count(1)


@dataclass(frozen=True)
class OwnDatabase:
    """The database's entry in DATABASES, and the environment in which a process finds it."""

    entry: Mapping[str, Any]
    environment: Mapping[str, str]


class SqliteDatabases:
    """Copies of one migrated file."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        _migrate(_environment(folder))

    @contextmanager
    def make(self, data: Path) -> Iterator[OwnDatabase]:
        """Give a database without rows, in the data folder."""
        shutil.copy(self._file, data)
        yield OwnDatabase(sqlite_database(data / FILE), _environment(data))

    def close(self) -> None:
        """Leave the files to their folders."""


class PostgresDatabases:
    """Copies of one migrated database of a server."""

    def __init__(self, folder: Path, server_url: str) -> None:
        self._server_url = server_url
        self._administer(f"CREATE DATABASE {_TEMPLATE}")
        _migrate(_environment(folder, self._url(_TEMPLATE)))

    @contextmanager
    def make(self, data: Path) -> Iterator[OwnDatabase]:
        """Give a database without rows; it is dropped afterwards, whoever is connected."""
        name = f"{_TEMPLATE}_{next(_numbers)}"
        self._administer(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        url = self._url(name)
        try:
            yield OwnDatabase(database_from_url(url), _environment(data, url))
        finally:
            self._administer(f"DROP DATABASE {name} WITH (FORCE)")

    def close(self) -> None:
        """Drop the template."""
        self._administer(f"DROP DATABASE {_TEMPLATE} WITH (FORCE)")

    def _url(self, name: str) -> str:
        return urlsplit(self._server_url)._replace(path=f"/{name}").geturl()

    def _administer(self, statement: str) -> None:
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def connected_to(database: OwnDatabase) -> Iterator[None]:
    """Let ``default`` be the database for this process, in all its threads."""
    before, entry_before = connections["default"], connections.settings["default"]
    entry = {**entry_before, **database.entry}
    backend = load_backend(str(entry["ENGINE"]))
    connections.settings["default"] = entry
    connections["default"] = backend.DatabaseWrapper(entry, "default")
    try:
        yield
    finally:
        connections["default"].close()
        connections.settings["default"] = entry_before
        connections["default"] = before


def _environment(data: Path, url: str | None = None) -> dict[str, str]:
    # The keys of this process, so that the others can open what it sealed.
    environment = {
        "CONVEYOR_DATA_DIR": str(data),
        "CONVEYOR_KEYS": settings.CONVEYOR_KEYS,
        "CONVEYOR_SECRET_KEY": settings.SECRET_KEY,
    }
    return environment if url is None else {**environment, "CONVEYOR_DATABASE_URL": url}


def _migrate(environment: Mapping[str, str]) -> None:
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], **environment},
        check=True,
    )
