"""Errors of the data folder and the database file name the path and a way out."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection

from conveyor_site.data_folder import (
    as_configuration_error,
    data_folder,
    database_file,
    sentence_of,
)
from conveyor_site.database_url import database_from_url
from products.database_trouble import database_sentence
from tests.conveyor_site.living import environment_of, manage

ANOTHER = "Correct this, or set CONVEYOR_DATA_DIR to a path where this user may write."


def a_file(data: Path) -> None:
    data.write_text("")


def a_folder_for_the_database(data: Path) -> None:
    (data / "conveyor.sqlite3").mkdir(parents=True)


def another_file_for_the_database(data: Path) -> None:
    data.mkdir()
    (data / "conveyor.sqlite3").write_text("This is a letter, and no database.")


def a_folder_for_the_key(data: Path) -> None:
    (data / "secret-key").mkdir(parents=True)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (a_file, f": a file is in the place of it or of a folder above it. {ANOTHER}"),
        (
            a_folder_for_the_database,
            f"/conveyor.sqlite3 cannot be used: a folder is in its place. {ANOTHER}",
        ),
        (another_file_for_the_database, "/conveyor.sqlite3 cannot be used: it is not a SQLite"),
        (a_folder_for_the_key, f"/secret-key cannot be used: a folder is in its place. {ANOTHER}"),
    ],
)
def test_a_command_tells_the_path_the_state_and_the_way_out(
    folder: Path, make: Callable[[Path], None], sentence: str
) -> None:
    data = folder / "data"
    make(data)
    environment = environment_of(folder, {"CONVEYOR_DATA_DIR": str(data)})
    for command in ("migrate", "runner"):
        done = manage(command, environment=environment)
        assert done.returncode == 1
        assert done.stderr.startswith(str(data))
        assert sentence in done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.EROFS, f"/data/x cannot be used: its file system is read-only. {ANOTHER}"),
        (
            errno.ENOSPC,
            "/data/x cannot be used: the disk is full. Free some space there and try again.",
        ),
        (
            errno.ENOTDIR,
            f"/data/x cannot be used: a file is in the place of it or of a .*{ANOTHER}",
        ),
        (errno.EACCES, f"/data/x cannot be used: the user .+ may not read and write it. {ANOTHER}"),
        (errno.EIO, f"/data/x cannot be used: Input/output error. {ANOTHER}"),
    ],
)
def test_what_the_system_refuses_is_a_sentence(number: int, sentence: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=sentence), as_configuration_error(Path("/data")):
        raise OSError(number, os.strerror(number), "/data/x")


def test_error_without_path_is_reported_unchanged() -> None:
    assert sentence_of(OSError("no port is free.")) == "No port is free."
    assert sentence_of(ConnectionRefusedError(111, "Connection refused")) == "Connection refused."


def test_what_is_there_and_good_is_taken(tmp_path: Path) -> None:
    assert data_folder(tmp_path / "a" / "b").is_dir()
    path = tmp_path / "conveyor.sqlite3"
    path.touch()
    assert database_file(path) == path
    kept = sqlite3.connect(path)
    kept.execute("CREATE TABLE kept (id)")
    kept.close()
    assert database_file(path) == path


def test_database_of_a_url_names_that_setting(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match="or set CONVEYOR_DATABASE_URL to a path"):
        database_from_url(f"sqlite://{tmp_path}")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("pragma", "sentence"),
    [
        ("query_only = 1", "it cannot be written to. Check that its folder exists"),
        ("max_page_count = 1", "the disk is full. Free some space there and try again."),
    ],
)
def test_what_sqlite_refuses_is_a_sentence_with_the_path(pragma: str, sentence: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA {pragma}")
        try:
            with pytest.raises(DatabaseError) as raised:
                cursor.execute("CREATE TABLE large AS SELECT randomblob(1000000) AS a")
        finally:
            cursor.execute("PRAGMA query_only = 0")
            cursor.execute("PRAGMA max_page_count = 1073741823")
    said = database_sentence(raised.value)
    assert said is not None
    assert said.startswith(f"The database {connection.settings_dict['NAME']} cannot be used: ")
    assert sentence in said


@pytest.mark.django_db
def test_a_mistake_of_ours_is_no_sentence() -> None:
    assert database_sentence(DatabaseError("near SELEC: syntax error")) is None
