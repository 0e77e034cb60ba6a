"""A checkout has the tags of its history, and repositories of both object formats work."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from products.git.mirror import ensure_commit
from products.git.tags import MOST_TAGS
from runners.executor.shapes import Checkout
from tests.products.repositories import Repository
from tests.runners.executor.attempts import Lab

DESCRIBE = "git describe --tags; git describe; git tag | tr '\\n' ' '"


class Fetched:
    """A repository and the mirror that a runner keeps of it."""

    def __init__(self, work_dir: Path) -> None:
        self.repository = Repository(work_dir / "source")
        self.mirrors = work_dir / "mirrors"

    def checkout(self, commit: str, tag: str = "") -> Checkout:
        mirror = ensure_commit(self.mirrors, self.repository.url, commit, tag=tag)
        self.mirrors.chmod(0o755)
        mirror.chmod(0o755)
        return Checkout(str(mirror), commit, tag=tag)

    def tag(self, name: str, *arguments: str) -> None:
        self.repository.git("tag", "-m", name, name, *arguments)


@pytest.fixture
def fetched(work_dir: Path) -> Iterator[Fetched]:
    yield Fetched(work_dir)
    shutil.rmtree(work_dir / "source", ignore_errors=True)
    shutil.rmtree(work_dir / "mirrors", ignore_errors=True)


def test_checkout_has_tags_of_its_history(lab_of_each_level: Lab, fetched: Fetched) -> None:
    lab = lab_of_each_level
    fetched.repository.commit("one")
    fetched.tag("v1")
    fetched.repository.git("tag", "light")
    commit = fetched.repository.commit("two")
    fetched.repository.branch("side")
    fetched.tag("elsewhere", "side")
    lab.run(DESCRIBE, checkout=fetched.checkout(commit))
    described = f"v1-1-g{commit[:7]}\n"
    assert lab.reporter.text("stdout") == f"{described}{described}light v1 "


def test_later_commit_brings_later_tags(lab: Lab, fetched: Fetched) -> None:
    fetched.checkout(fetched.repository.commit("one"))
    fetched.tag("v1")
    commit = fetched.repository.commit("two")
    fetched.tag("v2")
    lab.run(DESCRIBE, checkout=fetched.checkout(commit))
    assert lab.reporter.text("stdout") == "v2\nv2\nv1 v2 "


def test_tag_run_has_tag_pushed_after_commit(lab: Lab, fetched: Fetched) -> None:
    commit = fetched.repository.commit("one")
    fetched.checkout(commit)
    fetched.tag("v1")
    lab.run(DESCRIBE, checkout=fetched.checkout(commit, tag="v1"))
    assert lab.reporter.text("stdout") == "v1\nv1\nv1 "


def test_tag_run_follows_moved_tag(lab: Lab, fetched: Fetched) -> None:
    fetched.repository.commit("one")
    fetched.tag("v1")
    commit = fetched.repository.commit("two")
    fetched.checkout(commit)
    fetched.tag("v1", "-f")
    lab.run(DESCRIBE, checkout=fetched.checkout(commit, tag="v1"))
    assert lab.reporter.text("stdout") == "v1\nv1\nv1 "


def test_removed_tag_is_made_for_its_run(lab: Lab, fetched: Fetched) -> None:
    commit = fetched.repository.commit("one")
    lab.run("git describe --tags", checkout=fetched.checkout(commit, tag="gone"))
    assert lab.reporter.text("stdout") == "gone\n"


def test_number_of_tags_is_limited(lab: Lab, fetched: Fetched) -> None:
    first = fetched.repository.commit("one")
    names = [f"old{number}" for number in range(2 * MOST_TAGS)]
    fetched.repository.git(
        "update-ref",
        "--stdin",
        given="".join(f"create refs/tags/{name} {first}\n" for name in names),
    )
    commit = fetched.repository.commit("two")
    fetched.repository.git("tag", "newest")
    lab.run("git tag | wc -l; git describe --tags", checkout=fetched.checkout(commit))
    assert lab.reporter.text("stdout") == f"{MOST_TAGS}\nnewest\n"


def test_sha256_repository_is_checked_out(lab_of_each_level: Lab, fetched: Fetched) -> None:
    lab = lab_of_each_level
    shutil.rmtree(fetched.repository.folder / ".git")
    fetched.repository.git("init", "-q", "-b", "main", "--object-format=sha256")
    commit = fetched.repository.commit("text")
    fetched.tag("v1")
    result = lab.run("git describe; cat file", checkout=fetched.checkout(commit))
    assert (result.outcome, lab.reporter.text("stdout")) == ("succeeded", "v1\ntext")
    assert len(commit) == 64


def test_left_out_submodules_and_lfs_are_named(lab: Lab, fetched: Fetched) -> None:
    fetched.repository.commit(
        "*.bin filter=lfs diff=lfs merge=lfs -text\n", path="a/.gitattributes"
    )
    commit = fetched.repository.commit('[submodule "s"]\n\tpath = s\n', path=".gitmodules")
    lab.run("true", checkout=fetched.checkout(commit))
    log = lab.reporter.text("stderr")
    assert "Note: submodules are left out." in log
    assert "Note: files of Git LFS are left out;" in log


def test_plain_checkout_has_no_notes(lab: Lab, fetched: Fetched) -> None:
    commit = fetched.repository.commit("*.sh text eol=lf\n", path=".gitattributes")
    lab.run("true", checkout=fetched.checkout(commit))
    assert lab.reporter.text("stderr") == ""
