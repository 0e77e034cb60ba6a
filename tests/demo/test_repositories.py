from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from conveyor_site.demo.repositories import (
    GitFailedError,
    NoGitError,
    make_repositories,
    merge_a_change,
)

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)
    return done.stdout.decode().strip()


def test_each_example_becomes_a_server_and_a_clone_with_the_same_files(tmp_path: Path) -> None:
    repositories = make_repositories(tmp_path / "demo")

    assert [each.name for each in repositories] == ["web-service", "image", "environment"]
    for each in repositories:
        tracked = set(git(each.work, "ls-files").splitlines())
        example = EXAMPLES / each.name
        assert ".conveyor.yml" in tracked
        assert all(
            (example / path).read_bytes() == (each.work / path).read_bytes() for path in tracked
        )
        assert git(each.work, "rev-parse", "HEAD") == each.head()
        assert git(each.work, "remote", "get-url", "origin") == str(each.server)
        assert each.is_untouched()


def test_a_program_of_an_example_stays_one_that_may_be_started(tmp_path: Path) -> None:
    image = make_repositories(tmp_path)[1]

    assert git(image.work, "ls-files", "--stage", "root/usr/bin/web-service").startswith("100755")


def test_what_is_there_is_left_as_it_is_and_what_is_missing_is_made(tmp_path: Path) -> None:
    first, second, _ = make_repositories(tmp_path)
    (first.work / "mine").write_text("kept")
    heads = [each.head() for each in (first, second)]
    subprocess.run(["rm", "-r", str(second.work)], check=True)

    again = make_repositories(tmp_path)

    assert (first.work / "mine").read_text() == "kept"
    assert [each.head() for each in again[:2]] == heads
    assert (second.work / ".conveyor.yml").exists()


def test_a_change_is_merged_by_a_commit_of_two_parents_that_the_server_has(tmp_path: Path) -> None:
    upstream, *_ = make_repositories(tmp_path)
    before = upstream.head()

    commit = merge_a_change(upstream)

    assert upstream.head() == commit
    assert not upstream.is_untouched()
    assert git(upstream.server, "rev-parse", f"{commit}^1") == before
    assert git(upstream.server, "show", f"{commit}:VERSION") == "1.1.0"
    assert "Hola" in git(upstream.server, "show", f"{commit}:service/greetings.py")


def test_the_changed_service_passes_its_own_tests(tmp_path: Path) -> None:
    upstream, *_ = make_repositories(tmp_path)
    merge_a_change(upstream)

    command = ["python3", "-m", "unittest", "discover", "-s", "tests", "-t", "."]
    done = subprocess.run(command, cwd=upstream.work, capture_output=True, check=False)

    assert done.returncode == 0, done.stderr.decode()


def test_nobodys_configuration_of_git_plays_a_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = tmp_path / "gitconfig"
    hostile.write_text("[commit]\n\tgpgsign = true\n[core]\n\thooksPath = /nowhere\n[user]\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(hostile))
    monkeypatch.setenv("GIT_DIR", "/nowhere")

    upstream, *_ = make_repositories(tmp_path / "demo")

    assert merge_a_change(upstream)


def test_a_clone_that_was_worked_in_is_not_changed_over_its_owners_head(tmp_path: Path) -> None:
    upstream, *_ = make_repositories(tmp_path)
    (upstream.work / "VERSION").write_text("7\n")

    with pytest.raises(GitFailedError, match="VERSION was changed"):
        merge_a_change(upstream)


def test_missing_git_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(NoGitError, match="apt-get install git"):
        make_repositories(tmp_path / "demo")
