"""What ``runner_doctor`` is told: the level that holds, found by trying it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runners.executor.isolation import detect
from runners.executor.sandbox import shown_for
from tests.runners.executor.attempts import JOB_UID, SYSTEM_PATH, isolation_of


def test_the_strongest_level_that_works_is_found_and_tools_are_tried(work_dir: Path) -> None:
    uid = JOB_UID if os.geteuid() == 0 else None
    report = detect(work_dir, job_uid=uid, path=SYSTEM_PATH)
    assert any("Isolation level" in line for line in report.sentences)
    account = report.sentences[-4]
    assert account == "ok: Jobs have an account (conveyor-job), without which ssh refuses to work."
    tools = report.sentences[-3:]
    assert [line.split("`")[1] for line in tools] == ["true", "git --version", "python3 --version"]
    assert all(line.startswith("ok: ") for line in tools)
    assert "git version" in tools[1]
    assert list(work_dir.iterdir()) == []


@pytest.mark.skipif(not isolation_of("sandbox-bubblewrap"), reason="needs bubblewrap that works")
def test_detect_prefers_bubblewrap(work_dir: Path) -> None:
    uid = JOB_UID if os.geteuid() == 0 else None
    report = detect(work_dir, job_uid=uid, path=SYSTEM_PATH)
    assert report.level == "sandbox"
    assert report.isolation.bubblewrap is not None


def test_report_lists_missing_tools(work_dir: Path, tmp_path: Path) -> None:
    uid = JOB_UID if os.geteuid() == 0 else None
    report = detect(work_dir, job_uid=uid, path=str(tmp_path))
    assert not any(fact.holds for fact in report.facts[1:])
    assert any("no sh on the job PATH" in line for line in report.sentences)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the case of a root runner")
def test_root_jobs_and_unreachable_folders_are_called_out(work_dir: Path, tmp_path: Path) -> None:
    report = detect(work_dir, job_uid=None, path=SYSTEM_PATH)
    assert report.level == "none"
    assert "no: Jobs run as root: give the runner users for its jobs." in report.sentences
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    report = detect(private / "work", job_uid=JOB_UID, path=SYSTEM_PATH)
    assert report.level == "none"
    assert "CONVEYOR_WORK_DIR" in report.sentences[0]


def test_sandbox_shows_the_folders_of_tools(tmp_path: Path) -> None:
    venv, base = tmp_path / "venv", tmp_path / "base"
    (venv / "bin").mkdir(parents=True)
    (base / "bin").mkdir(parents=True)
    (base / "bin" / "python3").touch()
    (venv / "bin" / "python3").symlink_to(base / "bin" / "python3")
    path = f"/usr/bin:{venv}/bin:relative:/no/such/folder"
    assert shown_for(path) == (str(venv), str(base))


def test_sandbox_shows_only_the_tools_folder_of_a_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / "bin").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    assert shown_for(f"{home}/bin") == (f"{home}/bin",)


def test_sandbox_shows_a_home_that_is_itself_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert shown_for(str(tmp_path)) == (str(tmp_path),)
