"""``manage.py import_conveyor_yml``: what it prints, where, and how it exits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from belts.models import Belt
from products.models import Product
from tests.own_database import OwnDatabase

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = ROOT / "tests" / "scenarios"
TERRAFORM = SCENARIOS / "03_terraform" / "terraform.conveyor.yml"
SMALL = """\
product: small
source: https://git.example/acme/small.git
belts:
  - name: build
    jobs:
      - {name: compile, commands: make}
"""
BROKEN = SMALL.replace("commands", "comands")


def command(*arguments: object, **options: Any) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr of the command in this process."""
    out, err = StringIO(), StringIO()
    try:
        call_command(
            "import_conveyor_yml",
            *[str(each) for each in arguments],
            stdout=out,
            stderr=err,
            **options,
        )
    except CommandError as error:
        return error.returncode, out.getvalue(), f"{err.getvalue()}{error}"
    return 0, out.getvalue(), err.getvalue()


def a_file(folder: Path, text: str, name: str = ".conveyor.yml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.django_db
def test_it_prints_what_was_created_changed_and_removed(tmp_path: Path) -> None:
    more = SMALL + "  - name: tidy\n    jobs: [{name: sweep, commands: make clean}]\n"
    assert command(a_file(tmp_path, more)) == (
        0,
        "small: imported\n"
        "  + product small\n"
        "  + source https://git.example/acme/small.git\n"
        "  + belt build\n"
        "  + belt tidy\n"
        "  + job build.compile\n"
        "  + job tidy.sweep\n",
        "",
    )
    assert command(tmp_path)[1] == "small: nothing changed\n"
    assert command(a_file(tmp_path, SMALL.replace("make", "ninja")))[1] == (
        "small: imported\n  ~ job build.compile\n  - belt tidy (archived; its runs stay)\n"
    )


@pytest.mark.django_db
def test_check_prints_what_would_be(tmp_path: Path) -> None:
    code, out, _ = command(a_file(tmp_path, SMALL), check=True)
    assert (code, out.splitlines()[0]) == (0, "small: would be imported")
    assert not Product.objects.exists()


@pytest.mark.django_db
def test_problems_are_on_stderr_with_the_offending_line(tmp_path: Path) -> None:
    code, out, err = command(a_file(tmp_path, BROKEN))
    assert (code, out) == (1, "")
    assert f"{tmp_path}/.conveyor.yml:6:9: error:" in err
    assert "     6 |       - {name: compile, comands: make}" in err
    assert 'Did you mean "commands"?' in err
    assert "Not imported: 1 of 1." in err
    assert not Product.objects.exists()


@pytest.mark.django_db
def test_warnings_are_on_stderr_and_the_exit_code_is_0() -> None:
    code, out, err = command(TERRAFORM)
    assert code == 0
    assert out.startswith("terraform: imported\n")
    assert "warning: " in err
    assert 'hint: Did you mean "build-gem"?' in err

    code, out, err = command(TERRAFORM, strict=True)
    assert (code, out) == (1, "")


@pytest.mark.django_db
def test_one_that_fails_does_not_keep_the_others_from_being_imported(tmp_path: Path) -> None:
    code, out, err = command(a_file(tmp_path, BROKEN, "a.yml"), a_file(tmp_path, SMALL), TERRAFORM)
    assert code == 1
    assert out.startswith("small: imported\n")
    assert "terraform: imported\n" in out
    assert "Not imported: 1 of 3." in err
    assert Belt.objects.count() == 2


@pytest.mark.django_db
def test_json_has_everything_on_stdout(tmp_path: Path) -> None:
    code, out, _ = command(
        a_file(tmp_path, SMALL), a_file(tmp_path, BROKEN, "b.yml"), "nowhere", format="json"
    )
    report = json.loads(out)
    assert (code, report["ok"], report["check"]) == (1, False, False)
    good, broken, missing = report["sources"]
    assert (good["product"], good["ok"], good["problems"]) == ("small", True, [])
    assert "belt build" in good["created"]
    assert (broken["product"], broken["ok"], broken["created"]) == ("small", False, [])
    assert {each["excerpt"].strip() for each in broken["problems"]} == {
        "- {name: compile, comands: make}"
    }
    assert {(each["code"], each["line"]) for each in broken["problems"]} == {
        ("key.unknown", 6),
        ("key.missing", 6),
    }
    assert missing["error"]["code"] == "import.source"


def run(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "import_conveyor_yml", *[str(each) for each in arguments]],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.processes
@pytest.mark.database
def test_as_a_process_it_exits_with_0_or_1(own_database: OwnDatabase, tmp_path: Path) -> None:
    environment = dict(own_database.environment)
    good = run(environment, a_file(tmp_path, SMALL))
    assert (good.returncode, good.stderr) == (0, "")
    assert Product.objects.get().name == "small"

    bad = tmp_path / "bad.yml"
    bad.write_bytes(b"product: caf\xe9\n")
    done = run(environment, bad, tmp_path / "nowhere", "--format", "json")
    assert done.returncode == 1
    assert "file.not-utf8" in done.stderr
    assert "is not a file, a folder or the URL of a git repository" in done.stderr
    assert "Traceback" not in done.stderr
    assert not json.loads(done.stdout)["ok"]


@pytest.mark.processes
def test_a_database_that_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    file = a_file(tmp_path, SMALL)
    data = {"CONVEYOR_DATA_DIR": str(tmp_path / "data")}
    away = {**data, "CONVEYOR_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/conveyor"}
    for environment in (data, away):
        done = run(environment, file)
        assert done.returncode == 1, environment
        assert "The database" in done.stderr
        assert "cannot be used" in done.stderr
        assert "manage.py migrate" in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""


CHECKED_ALONE = """\
product: small
source: https://git.example/acme/small.git
belts:
  - name: build
    jobs:
      - {name: compile, commands: make, inputs: other.build}
"""


def check_in(folder: Path, *arguments: object, **environment: str) -> tuple[int, str, str]:
    """Return what a check ends with, run in an empty folder that must stay empty."""
    empty = folder / "empty"
    empty.mkdir()
    done = subprocess.run(
        [
            sys.executable,
            ROOT / "manage.py",
            "import_conveyor_yml",
            "--check",
            *map(str, arguments),
        ],
        cwd=empty,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(empty),
            "CONVEYOR_DATA_DIR": str(empty / "data"),
            "PYTHONDONTWRITEBYTECODE": "1",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert list(empty.iterdir()) == []
    return done.returncode, done.stdout, done.stderr


@pytest.mark.processes
def test_check_needs_no_database_and_makes_nothing(tmp_path: Path) -> None:
    assert check_in(tmp_path, a_file(tmp_path, CHECKED_ALONE)) == (
        0,
        "small: no errors\n",
        "Other products were not looked at: no database is set up.\n",
    )


@pytest.mark.processes
def test_check_without_database_reports_the_problems_of_the_file(tmp_path: Path) -> None:
    code, out, err = check_in(tmp_path, a_file(tmp_path, BROKEN))
    assert (code, out) == (1, "")
    assert 'Did you mean "commands"?' in err
    assert "Other products were not looked at: no database is set up." in err
    assert "Would not be imported: 1 of 1." in err


@pytest.mark.processes
@pytest.mark.parametrize(
    ("text", "code", "ok"), [(CHECKED_ALONE, 0, True), (BROKEN, 1, False)], ids=["good", "broken"]
)
def test_check_with_unreachable_database_looks_at_the_file(
    tmp_path: Path, text: str, code: int, *, ok: bool
) -> None:
    away = "postgresql://nobody@127.0.0.1:1/conveyor"
    ended, out, err = check_in(
        tmp_path, a_file(tmp_path, text), "--format", "json", CONVEYOR_DATABASE_URL=away
    )
    document = json.loads(out)
    assert (ended, document["ok"], document["other_products"]["checked"]) == (code, ok, False)
    assert document["other_products"]["reason"].startswith("The database cannot be used: ")
    assert "Other products were not looked at: the database cannot be used: " in err


@pytest.mark.processes
def test_check_makes_no_file_of_a_sqlite_url(tmp_path: Path) -> None:
    missing = f"sqlite:///{tmp_path}/empty/none.sqlite3"
    file = a_file(tmp_path, CHECKED_ALONE)
    assert check_in(tmp_path, file, CONVEYOR_DATABASE_URL=missing)[0] == 0


@pytest.mark.processes
def test_files_checked_without_database_see_one_another(tmp_path: Path) -> None:
    other = SMALL.replace("product: small", "product: other").replace("- name: build", "- name: x")
    files = a_file(tmp_path, CHECKED_ALONE, "a.yml"), a_file(tmp_path, other, "b.yml")
    code, _, err = check_in(tmp_path, *files)
    assert code == 0
    assert "[input.unknown-belt]" in err


@pytest.mark.processes
def test_url_checked_without_database_is_refused_with_a_way_out(tmp_path: Path) -> None:
    code, _, err = check_in(tmp_path, "https://git.example/acme/small.git")
    assert code == 1
    assert "needs a database. Check a checkout of it instead." in err


@pytest.mark.django_db
def test_check_with_a_database_looks_at_other_products(tmp_path: Path) -> None:
    code, out, err = command(a_file(tmp_path, CHECKED_ALONE), check=True, format="json")
    assert (code, json.loads(out)["other_products"]) == (0, {"checked": True, "reason": None})
    assert "[input.unknown-product]" in err
