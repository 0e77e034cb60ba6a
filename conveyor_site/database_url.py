"""CONVEYOR_DATABASE_URL: make the entry of Django's DATABASES from it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from conveyor_site.data_folder import DATA_DIR, database_file
from conveyor_site.service_url import require_readable, scheme_of

SETTING = "CONVEYOR_DATABASE_URL"
_FORMS = "postgresql://USER:PASSWORD@HOST:PORT/NAME or sqlite:////absolute/path.sqlite3"
_POSTGRESQL = ("postgresql", "postgres")
_SQLITE = "sqlite"
_SQLITE_ENGINE = "django.db.backends.sqlite3"

#: The name of a SQLite database that has no file.
IN_MEMORY = ":memory:"
#: Options of Django and of the driver, which are numbers. All others are text for libpq.
_NUMBERS = frozenset({"prepare_threshold", "server_side_binding"})
# With these options a dead server or a cut network is noticed within about half a minute.
_NOTICES_DEATH = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20000,
}


def sqlite_database(path: Path, *, setting: str = DATA_DIR) -> dict[str, Any]:
    """Return the entry for a SQLite file: write-ahead log, write lock taken at BEGIN.

    IMMEDIATE makes every transaction take the write lock first, so that none can fail half-way
    with "database is locked" (https://www.sqlite.org/lang_transaction.html).
    Raises ImproperlyConfigured for a path that cannot be a database.
    """
    return {
        "ENGINE": _SQLITE_ENGINE,
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
    """Return the entry; an empty database in memory if the file of SQLite does not exist."""
    if database["ENGINE"] != _SQLITE_ENGINE or os.access(database["NAME"], os.R_OK | os.W_OK):
        return database
    return {**database, "NAME": IN_MEMORY}


def database_from_url(url: str) -> dict[str, Any]:
    """Return the DATABASES entry for ``url``.

    Raises ImproperlyConfigured with the accepted forms for any other URL. The message contains the
    scheme only, because the URL may have a password in it.
    """
    scheme = scheme_of(url)
    if scheme not in (_SQLITE, *_POSTGRESQL):
        raise ImproperlyConfigured(
            f"{SETTING} starts with {scheme or 'no scheme'}. Conveyor supports SQLite and "
            f"PostgreSQL: use {_FORMS}."
        )
    require_readable(url, SETTING, has_login=scheme != _SQLITE)
    found: dict[str, Any] = {**dj_database_url.parse(url, conn_max_age=60, conn_health_checks=True)}
    if scheme == _SQLITE:
        return sqlite_database(Path("/", found["NAME"]), setting=SETTING)
    return {**found, **_with_options(found.get("OPTIONS", {}), found)}


def _with_options(given: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    options = dict(_NOTICES_DEATH)
    for name, value in given.items():
        options[name] = _number(name, value) if name in _NUMBERS else _text(value)
    return {
        "HOST": options.pop("host", None) or found["HOST"],
        "PORT": str(found["PORT"]),
        "OPTIONS": options,
    }


def _number(name: str, value: object) -> int:
    # The library has already converted the words true and false.
    if not isinstance(value, int) or isinstance(value, bool):
        raise ImproperlyConfigured(
            f"{SETTING}: the option {name} must be a whole number, such as {name}=0."
        )
    return value


def _text(value: object) -> Any:
    """Return an option as libpq reads it."""
    last = value[-1] if isinstance(value, list) else value
    return str(last).lower() if isinstance(last, bool) else last
