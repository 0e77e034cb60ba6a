from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
