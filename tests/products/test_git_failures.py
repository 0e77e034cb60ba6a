"""Each kind of failure of git is a sentence: what failed, why, and what helps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from belts.reading import read_source
from products.git.allowance import Allowance
from products.git.commands import GitFailedError
from products.git.errors import (
    CommitMissingError,
    FileMissingError,
    RefMissingError,
    ShallowRepositoryError,
    SourceUnreachableError,
)
from products.git.failures import unreachable
from products.git.mirror import ensure_commit
from products.git.remote import ask_refs
from products.git.snapshot import fetch_file
from tests.products.repositories import Repository

URL = "https://git.example/x.git"


@pytest.mark.parametrize(
    ("stderr", "why"),
    [
        (
            "fatal: unable to access '{url}/': SSL routines::wrong version number",
            "its host does not speak TLS at this port.",
        ),
        (
            "fatal: unable to access '{url}/': server certificate verification failed. CAfile: "
            "none CRLfile: none",
            "this machine does not trust the certificate of its host.",
        ),
        (
            "fatal: unable to access '{url}/': SSL certificate problem: certificate has expired",
            "the certificate of its host has expired.",
        ),
        (
            "fatal: unable to access '{url}/': SSL: certificate subject name 'a' does not match "
            "target host name 'git.example'",
            "the certificate of its host is for another name.",
        ),
        (
            "fatal: unable to access '{url}/': GnuTLS recv error (-110): The TLS connection was "
            "non-properly terminated.",
            "its host cannot be reached, or it broke off its answer.",
        ),
        (
            "error: RPC failed; curl 18 transfer closed with outstanding read data remaining\n"
            "fatal: early EOF\nfatal: fetch-pack: invalid index-pack output",
            "its host cannot be reached, or it broke off its answer.",
        ),
        (
            "fatal: unable to access '{url}/': CONNECT tunnel failed, response 403",
            "the proxy of this machine refused the connection.",
        ),
        (
            "fatal: unable to access '{url}/': The requested URL returned error: 418",
            "its host refused the request.",
        ),
        ("fatal: {url}/info/refs not valid: is this a git repository?", "there is no repository"),
        (
            "fatal: protocol error: bad line length character: Welc",
            "its host sends other text before the answer of git, such as a greeting.",
        ),
        ("sh: 1: git-upload-pack: not found", "its host has no git."),
        (
            "Unable to negotiate with 192.0.2.1 port 22: no matching host key type found.",
            "its host and the ssh of this machine have no common key type or cipher.",
        ),
        (
            "fatal: Could not read from remote repository.",
            "ssh could not connect to its host and gave no reason.",
        ),
        (
            "remote: aborting due to possible repository corruption on the remote side.\n"
            "fatal: early EOF",
            "it is damaged: objects are missing or cannot be read.",
        ),
        (
            "fatal: unknown repository extension found:\n\tfuture",
            "its format is newer than the git of this machine.",
        ),
        ("fatal: Out of memory, malloc failed", "this machine has too little memory"),
        (
            "fatal: unable to access '/srv/x/config': Permission denied",
            "the user that Conveyor runs as may not read it.",
        ),
        (
            "fatal: something new at https://bot:pw@git.example/x",
            "git failed (something new at https://git.example/x).",
        ),
        ("", "git failed (no reason given)."),
    ],
)
def test_failure_of_git_is_explained(stderr: str, why: str) -> None:
    error = unreachable(URL, GitFailedError(stderr.format(url=URL)), timeout_s=1)
    sentence = str(error)
    assert sentence.startswith(f"The repository {URL} could not be read: {why}")
    _, _, way_out = sentence.partition(why)
    assert way_out.endswith(".")


# --- Damaged repositories ------------------------------------------------------------------------
def object_of(repository: Repository, name: str) -> Path:
    found = repository.git("rev-parse", name)
    return repository.folder / ".git/objects" / found[:2] / found[2:]


def lose_a_folder(repository: Repository) -> None:
    object_of(repository, "HEAD:folder").unlink()


def empty_the_commit(repository: Repository) -> None:
    path = object_of(repository, "HEAD")
    path.chmod(0o644)
    path.write_bytes(b"")


def garble_the_pack(repository: Repository) -> None:
    repository.git("gc", "-q")
    [pack] = (repository.folder / ".git/objects/pack").glob("*.pack")
    pack.chmod(0o644)
    content = pack.read_bytes()
    pack.write_bytes(content[:40] + bytes(each ^ 0x55 for each in content[40:-30]) + content[-30:])


@pytest.fixture
def commit(repository: Repository) -> str:
    repository.commit("one", path=".conveyor.yml")
    return repository.commit("two", path="folder/file")


@pytest.mark.parametrize("damage", [lose_a_folder, empty_the_commit, garble_the_pack])
def test_damaged_repository_is_reported_as_damaged(
    repository: Repository, commit: str, mirrors: Path, damage: Callable[[Repository], None]
) -> None:
    damage(repository)
    with pytest.raises(SourceUnreachableError, match=r"it is damaged: .* Have its owner run git"):
        ensure_commit(mirrors, repository.url, commit)
    with pytest.raises(SourceUnreachableError, match=r"it is damaged: .* Have its owner run git"):
        fetch_file(
            mirrors,
            repository.url,
            commit,
            ".conveyor.yml",
            credential=None,
            allowance=Allowance(),
        )


def test_shallow_repository_is_reported_as_shallow(
    repository: Repository, commit: str, mirrors: Path, tmp_path: Path
) -> None:
    repository.git("clone", "-q", "--depth=1", f"file://{repository.url}", str(tmp_path / "part"))
    with pytest.raises(ShallowRepositoryError, match="Run git fetch --unshallow in it"):
        ensure_commit(mirrors, str(tmp_path / "part"), commit)
    with pytest.raises(CommitMissingError):
        ensure_commit(mirrors, repository.url, "f" * 40)


def test_broken_ref_is_no_commit(repository: Repository, commit: str, db: None) -> None:
    repository.branch("side")
    (repository.folder / ".git/refs/heads/side").write_text("nonsense\n")
    found = ask_refs(repository.url, None)
    assert dict(found.refs) == {"refs/heads/main": commit}


# --- Damaged checkouts ---------------------------------------------------------------------------
def test_damaged_checkout_is_refused_with_a_sentence(repository: Repository, commit: str) -> None:
    """Of a checkout whose remote branch leads nowhere only the file is read."""
    remote = repository.folder / ".git/refs/remotes/origin"
    remote.mkdir(parents=True)
    (remote / "main").write_text(f"{commit}\n")
    object_of(repository, "HEAD~1").unlink()
    assert read_source(repository.url).data == b"one"
    with pytest.raises(RefMissingError):
        read_source(repository.url, ref="nothing")
    lose_a_folder(repository)
    object_of(repository, "HEAD^{tree}").unlink()
    with pytest.raises(FileMissingError, match=r"The repository is damaged\. Clone it again\."):
        read_source(repository.url, ref="main")
