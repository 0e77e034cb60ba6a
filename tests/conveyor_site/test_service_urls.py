"""URLs with passwords: encoded ones are read, others give a sentence without the password."""

from __future__ import annotations

import string
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kombu import Connection

from conveyor_site.broker_url import checked_broker_url
from conveyor_site.database_url import database_from_url
from tests.conveyor_site.living import manage

PASSWORDS = st.text(string.ascii_letters + string.digits + string.punctuation, min_size=1)
SENTENCE = "is not a valid URL. In a password, write / # ? [ ] @ % ; as %2F %23"


def database_password(written: str) -> str:
    url = f"postgresql://conveyor:{written}@db.example.org:5432/x?sslmode=require"
    entry = database_from_url(url)
    assert (entry["HOST"], entry["PORT"], entry["NAME"]) == ("db.example.org", "5432", "x")
    return str(entry["PASSWORD"])


def queue_password(written: str) -> str:
    url = f"redis://:{written}@queue.example.org:6379/0"
    connection = Connection(checked_broker_url(url))
    assert (connection.hostname, connection.port) == ("queue.example.org", 6379)
    return str(connection.password)


READERS = pytest.mark.parametrize("read", [database_password, queue_password])


@READERS
@settings(deadline=None)
@given(password=PASSWORDS)
def test_encoded_password_is_read(read: Callable[[str], str], password: str) -> None:
    assert read(quote(password, safe="")) == password


@READERS
@settings(deadline=None)
@given(password=PASSWORDS.filter(lambda text: "%" not in text))
@example(password="p/ss")
@example(password="12/ss")
@example(password="12?w")
@example(password="p[w")
@example(password="p]w")
@example(password="p@ss#w")
def test_raw_password_is_read_or_refused(read: Callable[[str], str], password: str) -> None:
    assert outcome(read, password) in (password, "refused")


def outcome(read: Callable[[str], str], password: str) -> str:
    """Return the password that was read, or that the URL was refused with the sentence alone."""
    try:
        return read(password)
    except ImproperlyConfigured as error:
        return "refused" if str(error).partition(" ")[2].startswith(SENTENCE) else str(error)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("CONVEYOR_DATABASE_URL", "postgresql://conveyor:kestrel/w@db.example.org:5432/x"),
        ("CONVEYOR_DATABASE_URL", "postgresql://conveyor:kestrel?w@db.example.org:5432/x"),
        ("CONVEYOR_BROKER_URL", "redis://:kestrel@ss#w@queue.example.org/0"),
    ],
)
def test_command_names_the_setting_and_no_password(tmp_path: Path, name: str, url: str) -> None:
    done = manage("check", environment={"CONVEYOR_DATA_DIR": str(tmp_path), name: url})
    assert done.returncode == 1
    assert f"{name} {SENTENCE}" in done.stderr
    assert "kestrel" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "oracle", "mssql", "cockroach"])
def test_other_databases_are_refused_with_a_sentence(scheme: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="Conveyor supports SQLite and PostgreSQL: use"):
        database_from_url(f"{scheme}://user:secret@db.example.org/x")


@pytest.mark.parametrize("slashes", ["///", "////"])
def test_file_with_an_at_sign_is_read(tmp_path: Path, slashes: str) -> None:
    path = tmp_path / "a@b.sqlite3"
    entry = database_from_url(f"sqlite:{slashes}{str(path).lstrip('/')}")
    assert entry["NAME"] == str(path)
