from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from products.credentials import set_value
from products.keys import key_ring
from tests.builders import a_credential
from tests.own_database import REPOSITORY
from tests.runners.process.living import Site

pytestmark = pytest.mark.processes


def manage(site: Site, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=REPOSITORY,
        env={**site.environment, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--queues", "A B"], "'A B' is no queue"),
        (["--slots", "0"], "'0' is no number of slots"),
        (["--slots", "many"], "'many' is no number of slots"),
        (["--name", "../up"], "'../up' is no name"),
        (["--drain-limit", "-1"], "'-1' is no number of seconds; use 0 or more"),
        (["--drain-limit", "nan"], "'nan' is no number of seconds; use 0 or more"),
        (["--drain-limit", "long"], "'long' is no number of seconds; use 0 or more"),
        (["--job-uids", "9-1"], "'9-1' is no range of user ids"),
        (["--isolation", "strong"], "invalid choice: 'strong'"),
    ],
)
def test_bad_options_are_sentences(site: Site, arguments: list[str], sentence: str) -> None:
    result = manage(site, "runner", *arguments)
    assert result.returncode == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="what a root runner refuses")
def test_a_root_runner_never_runs_jobs_as_root_unasked(site: Site, tmp_path: Path) -> None:
    result = manage(site, "runner", "--isolation", "none")
    assert result.returncode == 1
    assert "--isolation none would run jobs as root" in result.stderr
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    result = manage(site, "runner", CONVEYOR_WORK_DIR=str(private / "work"))
    assert result.returncode == 1
    assert "private" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_doctor_says_what_holds(site: Site) -> None:
    result = manage(site, "runner_doctor")
    assert result.returncode == 0, result.stdout
    for part in ("The database", "The queue", "The work folder", "`true`", "`git", "`python3"):
        assert any(part in line and line.startswith("ok: ") for line in result.stdout.splitlines())


def test_the_doctor_names_the_credentials_that_its_keys_do_not_open(site: Site) -> None:
    credential = a_credential(name="deploy-key")
    set_value(credential, "kestrel-9-canary")
    right = manage(site, "runner_doctor", CONVEYOR_KEYS=settings.CONVEYOR_KEYS)
    assert "ok: CONVEYOR_KEYS opens all 1 credentials" in right.stdout
    other = f"{key_ring().newest}:{'b' * 43}="
    wrong = manage(site, "runner_doctor", CONVEYOR_KEYS=other)
    assert wrong.returncode == 1
    assert "no: 1 of 1 credentials cannot be opened (deploy-key: " in wrong.stdout


def test_what_is_of_this_machine_beside_a_shared_database_is_told(
    site: Site, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/not-migrated.sqlite3"
    unset = {"CONVEYOR_KEYS": "", "CONVEYOR_BROKER_URL": "", "CONVEYOR_DATABASE_URL": url}
    result = manage(site, "runner_doctor", **unset)
    assert "warning: CONVEYOR_DATABASE_URL is set and CONVEYOR_KEYS is not." in result.stdout
    assert "Prepare a new database with: manage.py migrate" in result.stdout
    result = manage(site, "runner", **unset, CONVEYOR_WORK_DIR="/proc/nowhere")
    assert result.returncode == 1
    assert "CONVEYOR_DATABASE_URL is set and CONVEYOR_KEYS is not." in result.stderr


def test_runner_with_shared_settings_warns_of_none(site: Site) -> None:
    url = site.environment.get(
        "CONVEYOR_DATABASE_URL",
        f"sqlite:///{site.environment['CONVEYOR_DATA_DIR']}/conveyor.sqlite3",
    )
    result = manage(site, "runner", CONVEYOR_DATABASE_URL=url, CONVEYOR_WORK_DIR="/proc/nowhere")
    assert "/proc/nowhere" in result.stderr
    assert "is not set" not in result.stderr


def test_the_doctor_says_what_is_missing(site: Site) -> None:
    result = manage(
        site,
        "runner_doctor",
        CONVEYOR_DATABASE_URL="postgres://nobody@127.0.0.1:1/none",
        CONVEYOR_BROKER_URL="redis://127.0.0.1:1/0",
    )
    assert result.returncode == 1
    assert "no: The database cannot be used" in result.stdout
    assert "no: The queue cannot be used" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr
