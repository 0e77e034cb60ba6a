"""The command line: what cannot work is a sentence and exit code 1, never a traceback."""

from __future__ import annotations

import os
import string
import subprocess
import sys
from pathlib import Path

import django
import pytest

from runners.protocol import VERSION
from tests.own_database import REPOSITORY

NOWHERE = "postgresql://user:secret@127.0.0.1:9/conveyor"


def manage(*arguments: str, data: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    others = {key: text for key, text in os.environ.items() if not key.startswith("CONVEYOR_")}
    given = {
        **others,
        "CONVEYOR_DATA_DIR": str(data),
        "CONVEYOR_SECRET_KEY": "s" * 50,
        **environment,
    }
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(
        command, cwd=REPOSITORY, env=given, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (["create_token", "eve"], {"CONVEYOR_DATABASE_URL": NOWHERE}, "database cannot be used"),
        (["create_token", "eve"], {}, "Prepare a new database with: manage.py migrate"),
        (["migrate"], {"CONVEYOR_DATABASE_URL": "wat"}, "use postgresql://"),
        (["runner"], {"CONVEYOR_BROKER_URL": "wat://host:1/secret"}, "Use redis://"),
        (["rotate_keys"], {"CONVEYOR_DATA_DIR": "/proc/nowhere"}, "/proc/nowhere"),
        (["runner"], {"CONVEYOR_KEYS": "bad"}, "CONVEYOR_KEYS cannot be used"),
        (
            ["runner"],
            {"CONVEYOR_TIME_SCALE": "x"},
            "CONVEYOR_TIME_SCALE is 'x'. It must be a number",
        ),
        (
            ["migrate"],
            {"CONVEYOR_LOG_LEVEL": "LOUD"},
            "CONVEYOR_LOG_LEVEL is 'LOUD'. It must be one",
        ),
        (["check"], {"CONVEYOR_PUBLIC_URL": "nonsense"}, "CONVEYOR_PUBLIC_URL is 'nonsense'. It"),
        (["create_token", "eve\udcff"], {}, "Prepare a new database with: manage.py migrate"),
    ],
    ids=[
        "no server",
        "no tables",
        "no URL",
        "no queue",
        "no folder",
        "no keys",
        "no scale",
        "no level",
        "no address",
        "no text",
    ],
)
def test_what_cannot_work_is_a_sentence(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], sentence: str
) -> None:
    done = manage(*arguments, data=tmp_path, **environment)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize("arguments", [["--version"], ["version"], ["runner", "--version"]])
def test_the_version_is_conveyors_and_djangos(tmp_path: Path, arguments: list[str]) -> None:
    done = manage(*arguments, data=tmp_path)
    assert done.returncode == 0
    assert done.stdout == f"Conveyor {VERSION} (Django {django.get_version()})\n"


@pytest.mark.parametrize(
    "arguments",
    [["create_token", "a\udcff"], ["run_belt", "a\udcff"], ["import_conveyor_yml", "a\udcff"]],
)
def test_argument_that_is_no_text_is_a_sentence(tmp_path: Path, arguments: list[str]) -> None:
    assert manage("migrate", data=tmp_path).returncode == 0
    done = manage(*arguments, data=tmp_path, LOGNAME="b\udcff")
    assert done.returncode == 1
    assert "a\\udcff" in done.stderr
    assert "Traceback" not in done.stderr


def test_who_asks_for_it_sees_where_it_came_from(tmp_path: Path) -> None:
    done = manage("create_token", "eve", "--traceback", data=tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_the_doctor_says_that_keys_cannot_be_used(tmp_path: Path) -> None:
    done = manage("runner_doctor", data=tmp_path, CONVEYOR_KEYS="bad")
    assert done.returncode == 1
    assert "no: CONVEYOR_KEYS cannot be used" in done.stdout


def test_check_of_a_deployment_finds_nothing(tmp_path: Path) -> None:
    done = manage(
        "check",
        "--deploy",
        "--fail-level=WARNING",
        data=tmp_path,
        CONVEYOR_DATABASE_URL="postgresql://conveyor@127.0.0.1:1/conveyor",
        CONVEYOR_BROKER_URL="redis://127.0.0.1:1/0",
        CONVEYOR_KEYS=f"k1:{'b' * 43}=",
        CONVEYOR_SECRET_KEY=string.ascii_letters,
        CONVEYOR_PUBLIC_URL="https://conveyor.example.org",
    )
    assert (done.returncode, done.stderr) == (0, "")
