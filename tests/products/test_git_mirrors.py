from __future__ import annotations

import os
import shutil
import stat
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from products.git.checkouts import open_checkout
from products.git.commands import GitFailedError, run_git
from products.git.errors import (
    CommitMissingError,
    SourceUnreachableError,
)
from products.git.mirror import ensure_commit
from tests.products.repositories import PASSWORD, Repository, a_git_server, a_login

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.database,
    pytest.mark.usefixtures("local_sources"),
]


def test_a_mirror_is_not_shared_with_who_may_not_read_the_repository(
    repository: Repository, mirrors: Path
) -> None:
    commit = repository.commit()
    with a_git_server(repository.folder.parent, login=f"ada:{PASSWORD}") as server:
        url = server.url("repository/.git")
        ensure_commit(mirrors, url, commit, credential=a_login())
        with pytest.raises(SourceUnreachableError, match="lets nobody in"):
            ensure_commit(mirrors, url, commit)


def test_a_commit_that_is_there_is_there_without_the_repository(
    repository: Repository, mirrors: Path
) -> None:
    commit = repository.commit()
    mirror = ensure_commit(mirrors, repository.url, commit)
    shutil.rmtree(repository.folder)
    assert ensure_commit(mirrors, repository.url, commit) == mirror


def test_a_commit_that_no_branch_has_any_more_is_fetched_by_its_id(
    repository: Repository, mirrors: Path
) -> None:
    lonely = repository.commit("lonely")
    repository.git("commit", "-q", "--amend", "-m", "instead")
    mirror = ensure_commit(mirrors, repository.url, lonely)
    assert run_git(["show", f"{lonely}:file"], cwd=mirror) == b"lonely"


def test_a_server_that_gives_only_heads_is_asked_for_all_of_them(
    repository: Repository, mirrors: Path, tmp_path: Path
) -> None:
    first = repository.commit("one")
    repository.commit("two")
    served = tmp_path / "served.git"
    repository.git("clone", "-q", "--bare", repository.url, str(served))
    with a_git_server(tmp_path, old=True) as server:
        url = server.url("served.git")
        for attempt in ("fetched", "there already"):
            mirror = ensure_commit(mirrors, url, first)
            assert run_git(["show", f"{first}:file"], cwd=mirror) == b"one", attempt
        assert (mirror / "refs/conveyor-heads/main").is_file()
        with pytest.raises(CommitMissingError, match="a forced push may have removed it"):
            ensure_commit(mirrors, url, "2" * 40)


def test_a_damaged_mirror_is_made_anew(repository: Repository, mirrors: Path) -> None:
    first = repository.commit("one")
    mirror = ensure_commit(mirrors, repository.url, first)
    for path in (mirror / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"")
    second = repository.commit("two")
    assert ensure_commit(mirrors, repository.url, second) == mirror
    assert run_git(["show", f"{second}:file"], cwd=mirror) == b"two"


def test_no_abbreviated_or_hostile_commit_reaches_git(
    repository: Repository, mirrors: Path
) -> None:
    commit = repository.commit()
    for text in (commit[:12], "main", "--upload-pack=touch x", f"{commit}\n", ""):
        with pytest.raises(CommitMissingError):
            ensure_commit(mirrors, repository.url, text)


def _ensure(mirrors: str, url: str, commit: str) -> str:
    return str(ensure_commit(Path(mirrors), url, commit))


def test_many_processes_may_fetch_one_repository_at_once(
    repository: Repository, mirrors: Path
) -> None:
    commits = [repository.commit(str(number)) for number in range(6)]
    with ProcessPoolExecutor(6, mp_context=get_context("fork")) as pool:
        wanted = [*commits, *commits]
        found = list(pool.map(_ensure, [str(mirrors)] * 12, [repository.url] * 12, wanted))
    assert len(set(found)) == 1
    for number, commit in enumerate(commits):
        shown = run_git(["show", f"{commit}:file"], cwd=Path(found[0]))
        assert shown == str(number).encode()
    assert [path.suffix for path in mirrors.iterdir() if path.is_dir()] == [".git"]


def test_what_is_in_a_mirror_may_be_read_by_who_may_enter_it_whatever_the_umask(
    repository: Repository, mirrors: Path
) -> None:
    before = os.umask(0o077)
    try:
        commit = repository.commit()
        mirror = ensure_commit(mirrors, repository.url, commit)
    finally:
        os.umask(before)
    assert stat.S_IMODE(mirror.stat().st_mode) == 0o700
    for path in mirror.rglob("*"):
        wanted = 0o555 if path.is_dir() else 0o444
        assert path.stat().st_mode & wanted == wanted, path


def test_a_mirror_of_many_fetches_is_tidied_and_keeps_what_is_used(
    repository: Repository, mirrors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("products.git.upkeep._MOST_PACKS", 4)
    forgotten = repository.commit("forgotten")
    mirror = ensure_commit(mirrors, repository.url, forgotten)
    repository.git("commit", "-q", "--amend", "-m", "instead")
    long_ago = time.time() - 40 * 86400
    os.utime(mirror / "refs/conveyor" / forgotten, (long_ago, long_ago))
    commits = [repository.commit(str(number)) for number in range(5)]
    for commit in commits:
        ensure_commit(mirrors, repository.url, commit)
    assert len(list(mirror.glob("objects/pack/*.pack"))) < 4
    for number, commit in enumerate(commits):
        assert run_git(["show", f"{commit}:file"], cwd=mirror) == str(number).encode()
    with pytest.raises(GitFailedError):
        run_git(["cat-file", "-e", forgotten], cwd=mirror)
    ensure_commit(mirrors, repository.url, forgotten)
    assert run_git(["show", f"{forgotten}:file"], cwd=mirror) == b"forgotten"


def test_hooks_and_settings_of_a_repository_do_nothing(
    repository: Repository, mirrors: Path, tmp_path: Path
) -> None:
    commit = repository.commit(path=".conveyor.yml")
    canary = tmp_path / "canary"
    for name in ("reference-transaction", "post-checkout", "pre-auto-gc", "proc-receive"):
        hook = repository.folder / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {canary}\n")
        hook.chmod(0o755)
    for setting in ("core.fsmonitor", "core.sshCommand", "uploadpack.packObjectsHook"):
        repository.git("config", setting, f"touch {canary}")
    ensure_commit(mirrors, repository.url, commit)
    checkout = open_checkout(repository.folder)
    assert checkout is not None
    checkout.file_at_head(".conveyor.yml")
    assert not canary.exists()
