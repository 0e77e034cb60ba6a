"""Repositories that are slow or large: what is fetched, for how long, and what may be kept."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from belts.importing import import_commit
from products.git.allowance import Allowance
from products.git.commands import run_git
from products.git.errors import (
    FileMissingError,
    FileTooLargeError,
    RepositoryTooLargeError,
    SourceUnreachableError,
)
from products.git.files import read_belt_file
from products.git.mirror import ensure_commit
from products.git.mirror_lock import alone_with
from products.git.remote import resolve_ref
from products.git.upkeep import size_of
from products.models import Configuration, Product, Source
from products.polling import poll_source
from tests.builders import a_product, a_source
from tests.products.repositories import GitServer, Repository, a_git_server
from tests.waiting import until

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.database,
    pytest.mark.usefixtures("local_sources"),
]

FILE = ".conveyor.yml"
MIB = 1024**2
MONTH_S = 31 * 86400.0


@pytest.fixture
def server(repository: Repository) -> Iterator[GitServer]:
    with a_git_server(repository.folder.parent) as served:
        yield served


@pytest.fixture
def served(server: GitServer, local_sources: None) -> Source:
    return a_source(None, url=server.url("repository/.git"))


def noise(size: int) -> str:
    """Return text that does not get smaller in a pack."""
    return hashlib.shake_256(str(size).encode()).hexdigest(size // 2)


def a_history(repository: Repository, commits: int = 3) -> str:
    """Make a history of large files, of which the last is there; return the last commit."""
    for number in range(commits):
        repository.commit(noise(MIB + number), path="large")
    return repository.commit("product: one\n", path=FILE)


def left_in(folder: Path) -> list[str]:
    """Return what lies in a folder of mirrors beside what tells when it was looked at."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".looked-at")


# --- What is fetched ------------------------------------------------------------------------------
def test_a_belt_file_comes_without_history_and_without_other_files(
    repository: Repository, served: Source, server: GitServer, own_data_folder: Path
) -> None:
    commit = a_history(repository)
    repository.commit("later")
    assert read_belt_file(served, commit) == b"product: one\n"
    assert server.state.sent < 10_000
    assert left_in(own_data_folder / "mirrors") == []


@pytest.mark.parametrize("old", [False, True])
def test_a_server_that_hands_out_no_parts_is_read_as_well(
    repository: Repository, old: bool
) -> None:
    older = a_history(repository)
    newest = repository.commit("product: two\n", path=FILE)
    with a_git_server(repository.folder.parent, old=old, filters=False) as server:
        source = a_source(None, url=server.url("repository/.git"))
        assert read_belt_file(source, newest) == b"product: two\n"
        assert server.state.sent < 2 * MIB
        assert read_belt_file(source, older) == b"product: one\n"


def test_history_is_fetched_where_ancestry_is_asked_for_and_serves_files_too(
    repository: Repository, served: Source, server: GitServer
) -> None:
    older = a_history(repository)
    repository.commit("product: two\n", path=FILE)
    assert resolve_ref(served, older).on_default_branch
    asked = len(server.asked)
    assert read_belt_file(served, older) == b"product: one\n"
    assert len(server.asked) == asked


def test_files_that_are_missing_or_too_large_are_not_fetched(
    repository: Repository, served: Source, server: GitServer
) -> None:
    commit = repository.commit(noise(2 * MIB), path=FILE)
    with pytest.raises(FileTooLargeError, match="256 KiB"):
        read_belt_file(served, commit)
    served.path = "elsewhere.yml"
    asked = len(server.asked)
    with pytest.raises(FileMissingError, match=r"no file elsewhere\.yml"):
        read_belt_file(served, commit)
    # The refs, their listing and the commit; no file.
    assert len(server.asked) - asked <= 3


# --- Time -----------------------------------------------------------------------------------------
def test_a_server_that_trickles_is_given_up_in_all_the_time_that_a_file_has(
    repository: Repository, served: Source, server: GitServer, own_data_folder: Path
) -> None:
    commit = repository.commit("product: one\n", path=FILE)
    Configuration.objects.update(read_timeout_s=1)
    server.trickle()
    with pytest.raises(SourceUnreachableError, match=r"not done within 1 s\..* Read timeout\."):
        read_belt_file(served, commit)
    assert server.state.waits.is_set()
    assert left_in(own_data_folder / "mirrors") == []
    server.be_honest()
    Configuration.objects.update(read_timeout_s=60)
    assert read_belt_file(served, commit) == b"product: one\n"


def test_a_source_that_answers_slowly_is_looked_at_less_often(
    repository: Repository,
) -> None:
    repository.commit()
    waits = {}

    def take_a_while() -> None:
        # The latency of a slow server.
        time.sleep(0.5)

    with a_git_server(repository.folder.parent, meanwhile=take_a_while) as server:
        source = a_source(url=server.url("repository/.git"), poll_interval_s=1)
        poll_source(source.pk)
        for name in ("slow", "quick"):
            source.refresh_from_db()
            assert source.polled_at is not None
            assert source.error == ""
            waits[name] = (source.due_at - source.polled_at).total_seconds()
            server.asked.append("the first answer was")
            poll_source(source.pk)
    assert waits["slow"] >= 5
    assert waits["quick"] < 5


def _fetch_in_vain(mirrors: str, url: str, commit: str) -> None:
    ensure_commit(Path(mirrors), url, commit)


def a_process_that_fetches(mirrors: Path, url: str, commit: str) -> BaseProcess:
    process = get_context("fork").Process(target=_fetch_in_vain, args=[str(mirrors), url, commit])
    process.start()
    return process


def test_a_fetch_that_is_killed_leaves_a_sound_mirror(
    repository: Repository, served: Source, server: GitServer, mirrors: Path
) -> None:
    first = a_history(repository)
    mirror = ensure_commit(mirrors, served.url, first)
    second = repository.commit("two")
    server.trickle()
    process = a_process_that_fetches(mirrors, served.url, second)
    until(server.state.waits.is_set, "the fetch waits for the server")
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    (mirror / "objects/pack/tmp_pack_left").write_bytes(b"half of it")
    (mirror / "packed-refs.lock").touch()
    (mirror / f"refs/conveyor/{second}.lock").touch()
    server.be_honest()
    assert ensure_commit(mirrors, served.url, second) == mirror
    for commit, text in ((first, f"{noise(MIB + 2)}"), (second, noise(MIB + 2))):
        assert run_git(["show", f"{commit}:large"], cwd=mirror, limit_bytes=2 * MIB) == (
            text.encode()
        )
    assert list(mirror.rglob("*.lock")) == []
    assert list((mirror / "objects").rglob("tmp_*")) == []


# --- Room -----------------------------------------------------------------------------------------
def test_a_repository_that_is_too_large_is_refused_with_the_way_out(
    repository: Repository, mirrors: Path
) -> None:
    small = repository.commit("small")
    large = repository.commit(noise(3 * MIB), path="large")
    mirror = ensure_commit(mirrors, repository.url, small)
    with pytest.raises(RepositoryTooLargeError, match=r"more than 1 MiB .* Repository limit"):
        ensure_commit(mirrors, repository.url, large, allowance=Allowance(room_bytes=MIB))
    assert size_of(mirror) < MIB
    assert run_git(["show", f"{small}:file"], cwd=mirror) == b"small"
    ensure_commit(mirrors, repository.url, large, allowance=Allowance(room_bytes=4 * MIB))


def test_a_mirror_that_is_full_lets_go_of_what_was_not_asked_for_lately(
    repository: Repository, mirrors: Path
) -> None:
    base = repository.commit("base")
    mirror = ensure_commit(mirrors, repository.url, base)
    an_hour_ago = time.time() - 2 * 3600
    for number in range(5):
        repository.git("reset", "-q", "--hard", base)
        commit = repository.commit(noise(MIB + number), path="large")
        allowance = Allowance(room_bytes=3 * MIB)
        assert ensure_commit(mirrors, repository.url, commit, allowance=allowance) == mirror
        assert size_of(mirror) <= 3 * MIB
        os.utime(mirror / "refs/conveyor" / commit, (an_hour_ago, an_hour_ago))
    shown = run_git(["show", f"{commit}:large"], cwd=mirror, limit_bytes=2 * MIB)
    assert shown == noise(MIB + 4).encode()


def test_a_belt_file_of_a_repository_that_is_too_large_is_a_problem_of_the_product(
    repository: Repository,
) -> None:
    commit = repository.commit(noise(3 * MIB), path="large")
    Configuration.objects.update(repository_limit_bytes=MIB)
    product = a_product(managed_by=Product.Manager.FILE)
    with a_git_server(repository.folder.parent, filters=False) as server:
        a_source(product, url=server.url("repository/.git"))
        row = import_commit(product.pk, commit)
    assert row is not None
    assert [problem["code"] for problem in row.problems] == ["source.too-large"]


def age(mirror: Path, seconds: float) -> None:
    then = time.time() - seconds
    for path in (*(mirror / "refs/conveyor").iterdir(), mirror):
        os.utime(path, (then, then))


def test_unused_mirrors_are_removed_by_the_next_fetch(tmp_path: Path, mirrors: Path) -> None:
    repositories = {
        name: Repository(tmp_path / name) for name in ("unused", "used", "busy", "new", "newer")
    }
    commits = {name: repository.commit(name) for name, repository in repositories.items()}
    found = {
        name: ensure_commit(mirrors, repositories[name].url, commits[name])
        for name in ("unused", "used", "busy")
    }
    for name, seconds in (("unused", MONTH_S), ("used", MONTH_S - 2 * 86400), ("busy", MONTH_S)):
        age(found[name], seconds)
    for name in (".read-killed", ".new-killed", ".old-killed.git", ".read-at-work"):
        (mirrors / name).mkdir()
        if "killed" in name:
            os.utime(mirrors / name, (0, 0))
    # This was already checked today.
    ensure_commit(mirrors, repositories["new"].url, commits["new"])
    assert found["unused"].exists()
    os.utime(mirrors / ".looked-at", (0, 0))
    with alone_with(found["busy"], patience_s=0) as lock:
        assert lock is not None
        ensure_commit(mirrors, repositories["newer"].url, commits["newer"])
    assert not found["unused"].exists()
    assert found["used"].exists()
    assert found["busy"].exists()
    assert [path.name for path in mirrors.glob(".*-*") if path.is_dir()] == [".read-at-work"]
    assert ensure_commit(mirrors, repositories["unused"].url, commits["unused"]).exists()
