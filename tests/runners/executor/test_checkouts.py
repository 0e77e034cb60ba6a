"""The exact commit comes into the workspace, and nothing that leads back to where it came from."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runners.executor.checkout import GIT_CONFIG, SCRIPT, checkout_environment
from runners.executor.shapes import Checkout
from runners.executor.zygote import ZygoteProcess
from tests.runners.executor.attempts import SYSTEM_PATH, Lab, isolation_of

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a group of mirrors")


class Mirror:
    """A bare mirror with two commits, in the work folder as a runner keeps it."""

    def __init__(self, work_dir: Path) -> None:
        self.source = work_dir / "source"
        self.path = work_dir / "mirror.git"
        self.source.mkdir()
        self.git("init", "-q", "-b", "main")
        self.first = self.commit("README", "one")
        self.second = self.commit("README", "two")
        subprocess.run(
            ["git", "clone", "-q", "--mirror", str(self.source), str(self.path)], check=True
        )

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=T", "-c", "user.email=t@example.org"]
        done = subprocess.run(
            ["git", *identity, *arguments],
            cwd=self.source,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def commit(self, name: str, content: str) -> str:
        (self.source / name).write_text(content)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", content[:60])
        return self.git("rev-parse", "HEAD")

    def checkout(self, commit: str, **fields: Any) -> Checkout:
        return Checkout(str(self.path), commit, **fields)


@pytest.fixture
def mirror(work_dir: Path) -> Iterator[Mirror]:
    yield Mirror(work_dir)
    shutil.rmtree(work_dir / "mirror.git")
    shutil.rmtree(work_dir / "source")


def test_the_exact_commit_is_checked_out(lab_of_each_level: Lab, mirror: Mirror) -> None:
    lab = lab_of_each_level
    for commit, text in ((mirror.first, "one"), (mirror.second, "two")):
        lab.reporter.chunks.clear()
        result = lab.run("cat README; git rev-parse HEAD", checkout=mirror.checkout(commit))
        assert (result.outcome, lab.reporter.text("stdout")) == ("succeeded", f"{text}{commit}\n")
        assert f"Checked out commit {commit}." in lab.reporter.text("control")


def test_checked_out_files_are_readable_by_all(lab_of_each_level: Lab, mirror: Mirror) -> None:
    lab = lab_of_each_level
    (mirror.source / "folder").mkdir()
    commit = mirror.commit("folder/file", "text")
    mirror.git("push", "-q", str(mirror.path), "main")
    lab.run("stat -c %a . README folder folder/file", checkout=mirror.checkout(commit))
    assert lab.reporter.text("stdout").split() == ["755", "644", "755", "644"]


def test_the_workspace_does_not_know_the_mirror(lab: Lab, mirror: Mirror) -> None:
    script = (
        "git status --short; git remote; git log --format=%s; env | grep -i mirror || :;"
        f" grep -rl {mirror.path} . || :; git config user.name || git config --list --show-scope"
    )
    lab.run(script, checkout=mirror.checkout(mirror.second))
    log = lab.reporter.text("stdout")
    assert log.startswith("two\none\n")
    assert str(mirror.path) not in log
    assert "global" not in log


def test_a_shallow_checkout_has_one_commit(lab: Lab, mirror: Mirror) -> None:
    lab.run("git log --format=%s", checkout=mirror.checkout(mirror.first, depth=1))
    assert lab.reporter.text("stdout") == "one\n"


def test_a_commit_that_no_branch_has_any_more_is_found(lab: Lab, mirror: Mirror) -> None:
    mirror.git("checkout", "-q", "-b", "side")
    lonely = mirror.commit("README", "lonely")
    refs = ["+refs/heads/*:refs/heads/*"]
    subprocess.run(["git", "fetch", "-q", str(mirror.source), *refs], cwd=mirror.path, check=True)
    subprocess.run(["git", "branch", "-q", "-D", "side"], cwd=mirror.path, check=True)
    lab.run("cat README", checkout=mirror.checkout(lonely))
    assert lab.reporter.text("stdout") == "lonely"


def test_a_missing_commit_is_an_error_of_the_setup(lab: Lab, mirror: Mirror) -> None:
    result = lab.run("echo ran", checkout=mirror.checkout("0" * 40), post_run="echo ran")
    assert (result.outcome, result.reason, lab.reporter.starts) == ("errored", "setup", 0)
    assert f"The checkout of commit {'0' * 40} failed" in result.message
    assert "ran" not in lab.reporter.text("stdout")


def test_a_commit_must_be_a_full_id(lab: Lab, mirror: Mirror) -> None:
    for commit in ("main", "--upload-pack=touch x", mirror.first[:12], f"{mirror.first}\n"):
        with pytest.raises(ValueError, match="no full commit id"):
            lab.run("true", checkout=mirror.checkout(commit))


def test_hooks_filters_and_submodules_of_the_source_do_not_run(lab: Lab, mirror: Mirror) -> None:
    ran = mirror.path.parent / "ran"
    hooks = mirror.path / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-checkout", "post-upload-pack", "pre-receive"):
        hook = hooks / name
        hook.write_text(f"#!/bin/sh\ntouch {ran}\n")
        hook.chmod(0o755)
    (mirror.source / ".gitattributes").write_text("* filter=evil\n")
    (mirror.source / ".gitmodules").write_text(
        f'[submodule "s"]\n\tpath = s\n\turl = ext::sh -c touch% {ran}\n'
    )
    commit = mirror.commit("other", "three")
    subprocess.run(["git", "fetch", "-q"], cwd=mirror.path, check=True)
    lab.run("cat other; ls", checkout=mirror.checkout(commit))
    assert lab.reporter.text("stdout").startswith("three")
    assert not ran.exists()


def test_the_working_directory_may_come_with_the_source(lab: Lab, mirror: Mirror) -> None:
    (mirror.source / "sub").mkdir()
    commit = mirror.commit("sub/file", "inside")
    subprocess.run(["git", "fetch", "-q"], cwd=mirror.path, check=True)
    lab.run("cat file", checkout=mirror.checkout(commit), working_directory="sub")
    assert lab.reporter.text("stdout") == "inside"


def test_a_cancel_ends_the_checkout(lab: Lab, mirror: Mirror) -> None:
    lab.reporter.cancel_it()
    result = lab.run("echo ran", checkout=mirror.checkout(mirror.first), post_run="echo ran")
    assert (result.outcome, lab.reporter.starts) == ("cancelled", 0)
    assert "ran" not in lab.reporter.text("stdout")


@needs_root
def test_only_the_checkout_can_read_a_mirror_of_a_group(
    lab_of_each_level: Lab, mirror: Mirror
) -> None:
    lab = lab_of_each_level
    group = 199_999
    for path in (mirror.path, *mirror.path.rglob("*")):
        os.chown(path, 0, group)
    mirror.path.chmod(0o750)
    script = f"cat README; id -G; ls {mirror.path} 2>&1 || :"
    lab.run(script, checkout=mirror.checkout(mirror.first, group=group))
    shown = lab.reporter.text("stdout")
    assert shown.startswith("one")
    assert str(group) not in shown
    if lab.isolation.uid is not None:
        assert "objects" not in shown


def many_files(mirror: Mirror) -> None:
    for number in range(150):
        (mirror.source / f"file-{number}").touch()


@pytest.mark.parametrize(
    "fill",
    [
        lambda mirror: (mirror.source / "large").write_text("x" * 2**21),
        lambda mirror: (mirror.source / "large").write_bytes(os.urandom(2**21)),
        many_files,
    ],
    ids=["no room for a file", "no room for the history", "no room for so many files"],
)
def test_a_checkout_without_room_starts_nothing(
    small_disk: Path, folder: Path, zygote: ZygoteProcess, fill: Callable[[Mirror], object]
) -> None:
    isolation = isolation_of("uid") or isolation_of("none")
    assert isolation is not None
    mirror = Mirror(folder)
    fill(mirror)
    commit = mirror.commit("README", "three")
    subprocess.run(["git", "-C", str(mirror.path), "fetch", "-q"], check=True)
    lab = Lab(small_disk, zygote.client(), isolation)
    result = lab.run("ls | wc -l", checkout=mirror.checkout(commit))
    assert (result.outcome, result.reason) == ("errored", "setup")
    assert f"The checkout of commit {commit} failed: " in result.message
    assert lab.reporter.starts == 0


def test_a_file_that_git_could_not_write_fails_the_checkout(mirror: Mirror, folder: Path) -> None:
    (mirror.source / "large").write_text("x" * 2**20)
    commit = mirror.commit("README", "three")
    subprocess.run(["git", "-C", str(mirror.path), "fetch", "-q"], check=True)
    # A limit that git outlives is to it as a disk that has room again for what comes next.
    limited = f"trap '' XFSZ; ulimit -f 500\n{SCRIPT}"
    (folder / "config").write_text(GIT_CONFIG)
    environment = checkout_environment(mirror.checkout(commit), str(folder / "config"))
    (folder / "workspace").mkdir()
    done = subprocess.run(
        ["sh", "-c", limited],
        cwd=folder / "workspace",
        env={"PATH": SYSTEM_PATH, **environment},
        check=False,
        capture_output=True,
        text=True,
    )
    assert "unable to write file large" in done.stderr
    assert done.returncode != 0
