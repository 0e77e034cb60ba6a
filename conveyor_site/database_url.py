"""CONVEYOR_DATABASE_URL: one URL turned into one entry of Django's DATABASES."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from conveyor_site.data_folder import DATA_DIR, database_file

ENGINES = {
    "sqlite": "django.db.backends.sqlite3",
    "postgresql": "django.db.backends.postgresql",
    "postgres": "django.db.backends.postgresql",
    "mysql": "django.db.backends.mysql",
}


#: The name of a SQLite database that has no file.
IN_MEMORY = ":memory:"
#: Options of the driver, which the database's client library does not know and cannot read.
_NUMBERS = frozenset({"prepare_threshold", "server_side_binding"})


def sqlite_database(path: Path, *, setting: str = DATA_DIR) -> dict[str, Any]:
    """Return the entry for a SQLite file: write-ahead log, write lock taken at BEGIN.

    IMMEDIATE makes every transaction take the write lock first, so that none can fail half-way
    with "database is locked" (https://www.sqlite.org/lang_transaction.html).
    Raises ImproperlyConfigured for what is there and can be no database.
    """
    return {
        "ENGINE": ENGINES["sqlite"],
        "NAME": str(database_file(path, setting=setting)),
        "OPTIONS": {
            "timeout": 30,
            "transaction_mode": "IMMEDIATE",
            "init_command": (
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY"
            ),
        },
    }


def without_new_file(database: dict[str, Any]) -> dict[str, Any]:
    """Return the entry; an empty database in memory where SQLite would have to make the file."""
    if database["ENGINE"] != ENGINES["sqlite"] or os.access(database["NAME"], os.R_OK | os.W_OK):
        return database
    return {**database, "NAME": IN_MEMORY}


def database_from_url(url: str) -> dict[str, Any]:
    """Return the DATABASES entry for ``url``.

    Raises ImproperlyConfigured, with the forms that are accepted, for anything else.
    """
    parts = urlsplit(url)
    engine = ENGINES.get(parts.scheme)
    if engine is None:
        raise ImproperlyConfigured(
            f"CONVEYOR_DATABASE_URL starts with {parts.scheme or 'no scheme'!r}; use "
            "postgresql://USER:PASSWORD@HOST:PORT/NAME or sqlite:////absolute/path.sqlite3."
        )
    if parts.scheme == "sqlite":
        return sqlite_database(Path(unquote(parts.path)), setting="CONVEYOR_DATABASE_URL")
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    for name in options.keys() & _NUMBERS:
        options[name] = _number(name, options[name])
    if engine == ENGINES["postgresql"]:
        # A dead server or a cut network is noticed within about half a minute.
        options = {
            "connect_timeout": 5,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 20000,
            **options,
        }
    return {
        "ENGINE": engine,
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", None) or parts.hostname or "",
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }


def _number(name: str, text: str) -> int:
    if not text.isdecimal():
        raise ImproperlyConfigured(
            f"CONVEYOR_DATABASE_URL has {name}={text}; it takes a whole number, such as {name}=0."
        )
    return int(text)
