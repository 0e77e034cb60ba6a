from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

import pytest

from products.credentials import OpenedCredential, set_value
from products.git.checkouts import open_checkout
from products.git.commands import Access, GitFailedError, run_git
from products.git.errors import (
    CommitMissingError,
    EmptyRepositoryError,
    FileMissingError,
    FileTooLargeError,
    GitMissingError,
    RefMissingError,
    SourceCredentialError,
    SourceUnreachableError,
    SourceUrlError,
)
from products.git.files import read_belt_file
from products.git.mirror import ensure_commit
from products.git.remote import list_refs, resolve_ref
from products.models import Configuration, Source
from tests.builders import a_credential, a_product, a_source
from tests.products.repositories import PASSWORD, Repository, a_git_server, a_login

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.database,
    pytest.mark.usefixtures("local_sources"),
]


def source_of(repository: Repository, **fields: str) -> Source:
    return a_source(None, url=repository.url, **fields)


# --- What a repository has ------------------------------------------------------------------------
def test_branches_and_tags_are_listed_with_the_commits_that_they_name(
    repository: Repository,
) -> None:
    first = repository.commit("one")
    repository.git("tag", "light")
    repository.git("tag", "-a", "heavy", "-m", "a tag of its own")
    side = repository.branch("feature/x")
    repository.git("update-ref", "refs/pull/1/head", side)
    remote = list_refs(repository.url)
    assert (remote.default_branch, remote.head_commit) == ("main", first)
    assert remote.refs == {
        "refs/heads/main": first,
        "refs/heads/feature/x": side,
        "refs/tags/light": first,
        "refs/tags/heavy": first,
    }


def test_an_empty_repository_has_nothing(repository: Repository) -> None:
    remote = list_refs(repository.url)
    assert (remote.default_branch, remote.head_commit, dict(remote.refs)) == ("", "", {})
    with pytest.raises(EmptyRepositoryError, match="has no commit"):
        resolve_ref(source_of(repository))


def test_a_head_that_leads_nowhere_means_the_usual_branch(repository: Repository) -> None:
    commit = repository.commit()
    repository.branch("side")
    repository.git("symbolic-ref", "HEAD", "refs/heads/gone")
    remote = list_refs(repository.url)
    assert (remote.default_branch, remote.head_commit) == ("main", commit)


def test_refs_are_resolved_in_all_their_forms(repository: Repository) -> None:
    first = repository.commit("one")
    repository.git("tag", "-a", "v1", "-m", "one")
    second = repository.commit("two")
    side = repository.branch("side")
    source = source_of(repository)
    for ref in ("", "HEAD", "main", "refs/heads/main", second):
        found = resolve_ref(source, ref)
        assert (found.commit, found.ref) == (second, "refs/heads/main")
        assert (found.branch, found.on_default_branch) == ("main", True)
    tag = resolve_ref(source, "v1")
    assert (tag.commit, tag.ref, tag.branch) == (first, "refs/tags/v1", "")
    assert not tag.on_default_branch
    branch = resolve_ref(source, side)
    assert (branch.ref, branch.branch, branch.on_default_branch) == (
        "refs/heads/side",
        "side",
        False,
    )


def test_an_older_commit_is_known_to_be_on_the_default_branch_or_not(
    repository: Repository,
) -> None:
    first = repository.commit("one")
    repository.commit("two")
    older = repository.branch("side")
    repository.git("checkout", "-q", "side")
    repository.commit("newer on side")
    repository.git("checkout", "-q", "main")
    source = source_of(repository)
    found = resolve_ref(source, first)
    assert (found.commit, found.branch, found.on_default_branch) == (first, "main", True)
    assert not resolve_ref(source, older).on_default_branch
    with pytest.raises(CommitMissingError, match="has no commit 1111"):
        resolve_ref(source, "1" * 40)


def test_a_commit_that_no_branch_and_no_tag_holds_may_be_a_forks(repository: Repository) -> None:
    repository.commit("one")
    older = repository.branch("side")
    repository.git("checkout", "-q", "side")
    tagged = repository.commit("tagged")
    repository.commit("newest")
    repository.git("tag", "v1", tagged)
    proposed = repository.commit("proposed")
    repository.git("update-ref", "refs/pull/1/head", proposed)
    repository.git("reset", "-q", "--hard", "HEAD~1")
    repository.git("checkout", "-q", "main")
    source = source_of(repository)
    assert [resolve_ref(source, each).foreign for each in (older, tagged, "v1", "side", "")] == (
        [False] * 5
    )
    assert resolve_ref(source, proposed).foreign
    with pytest.raises(RefMissingError):
        resolve_ref(source, "refs/pull/1/head")


def test_a_mistyped_ref_is_answered_with_the_nearest(repository: Repository) -> None:
    repository.commit()
    repository.branch("release-2")
    with pytest.raises(RefMissingError, match="Did you mean release-2"):
        resolve_ref(source_of(repository), "relaese-2")
    with pytest.raises(RefMissingError, match="It has main, release-2"):
        resolve_ref(source_of(repository), "--upload-pack=touch /tmp/x")


# --- Failures are sentences -----------------------------------------------------------------------
def test_a_ref_is_sought_among_endless_long_names_in_bounded_time() -> None:
    names = [f"{'a' * 200}{number:05}" for number in range(3000)]
    begun = time.process_time()
    for name in ("b" * 200, "a" * 210, "relase-1"):
        assert "Did you mean" not in str(RefMissingError(name, "https://git.example/a", names))
    assert "Did you mean release-1?" in str(
        RefMissingError("relase-1", "https://git.example/a", [*names, "release-1"])
    )
    assert time.process_time() - begun < 2


def test_a_repository_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreachableError, match="there is no repository at this address"):
        list_refs(str(tmp_path / "nothing"))


def test_a_closed_port_is_said_to_be_unreachable() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(SourceUnreachableError, match="cannot be reached"):
        list_refs(f"http://127.0.0.1:{port}/x.git")


def test_an_ssh_port_that_is_closed_is_said_to_be_unreachable() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(SourceUnreachableError, match="cannot be reached"):
        list_refs(f"ssh://git@127.0.0.1:{port}/x.git", credential=a_login("key", "ssh-key"))


def test_a_server_that_says_nothing_is_given_up_and_git_is_gone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x.git"
        with pytest.raises(GitFailedError) as failed:
            run_git(["ls-remote", url], access=Access("http"), timeout_s=0.5)
        assert failed.value.timed_out
    assert children_named("git") == []


def children_named(name: str) -> list[str]:
    text = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text()
    commands = [Path(f"/proc/{pid}/comm").read_text().strip() for pid in text.split()]
    return [command for command in commands if command.startswith(name)]


def test_missing_git_is_reported(monkeypatch: pytest.MonkeyPatch, repository: Repository) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(GitMissingError, match="Install it"):
        list_refs(repository.url)


def test_a_site_that_allows_no_paths_reads_none(repository: Repository) -> None:
    from_site = source_of(repository)
    commit = repository.commit(path=".conveyor.yml")
    Configuration.objects.update(allow_local_sources=False)
    with pytest.raises(SourceUrlError, match="Allow local sources"):
        list_refs(repository.url)
    with pytest.raises(SourceUrlError, match="Allow local sources"):
        read_belt_file(from_site, commit)


# --- Credentials ----------------------------------------------------------------------------------
def test_a_private_repository_is_read_with_its_credential(
    repository: Repository, mirrors: Path
) -> None:
    commit = repository.commit()
    with a_git_server(repository.folder.parent, login=f"ada:{PASSWORD}") as server:
        url = server.url("repository/.git")
        assert list_refs(url, credential=a_login()).head_commit == commit
        mirror = ensure_commit(mirrors, url, commit, credential=a_login())
    assert run_git(["show", f"{commit}:file"], cwd=mirror) == b"text"
    assert PASSWORD not in "".join(
        path.read_text(errors="replace") for path in mirrors.rglob("*") if path.is_file()
    )
    assert all(PASSWORD not in asked for asked in server.asked)


@pytest.mark.parametrize(
    ("credential", "said"),
    [
        (None, "lets nobody in without a credential"),
        (a_login("something else"), "its host refused the credential login"),
    ],
)
def test_a_wrong_or_missing_credential_is_a_sentence_without_it(
    repository: Repository, mirrors: Path, credential: OpenedCredential | None, said: str
) -> None:
    commit = repository.commit()
    with a_git_server(repository.folder.parent, login=f"ada:{PASSWORD}") as server:
        url = server.url("repository/.git")
        with pytest.raises(SourceUnreachableError, match=said) as refused:
            list_refs(url, credential=credential)
        with pytest.raises(SourceUnreachableError, match=said):
            ensure_commit(mirrors, url, commit, credential=credential)
    assert "something else" not in str(refused.value)


def test_refused_credential_is_named_with_the_repository(
    repository: Repository,
) -> None:
    with (
        a_git_server(repository.folder.parent) as server,
        pytest.raises(SourceUnreachableError, match="none that the credential login may see"),
    ):
        list_refs(server.url("nowhere/.git"), credential=a_login())


def test_ssh_gets_the_key_in_a_private_file_and_nothing_else(
    repository: Repository, mirrors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program in ssh's place looks at what it is given, and is the server too."""
    commit = repository.commit()
    (tmp_path / "bin").mkdir()
    stand_in = tmp_path / "bin/ssh"
    stand_in.write_text(
        "#!/bin/sh\n"
        f'printf "%s\\n" "$@" > {tmp_path}/arguments\n'
        f"key=$(sed -n 's/^IdentityFile=\"\\(.*\\)\"$/\\1/p' {tmp_path}/arguments)\n"
        f'stat -c %a "$key" "${{key%/*}}" > {tmp_path}/modes; cat "$key" > {tmp_path}/key\n'
        f"env > {tmp_path}/environment\n"
        'for last; do :; done; eval "$last"\n'
    )
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/tmp/agent")
    url = f"ssh://git@127.0.0.1:2222{repository.folder}"
    mirror = ensure_commit(mirrors, url, commit, credential=a_login("a key\n", "ssh-key"))
    assert run_git(["show", f"{commit}:file"], cwd=mirror) == b"text"
    arguments = (tmp_path / "arguments").read_text().splitlines()
    assert (tmp_path / "modes").read_text().split() == ["600", "700"]
    assert (tmp_path / "key").read_text() == "a key\n"
    key = next(each for each in arguments if each.startswith("IdentityFile="))
    assert not Path(key.partition("=")[2].strip('"')).parent.exists()
    assert "SSH_AUTH_SOCK" not in (tmp_path / "environment").read_text()
    assert (mirrors / "known_hosts").stat().st_mode & 0o777 == 0o600
    for wanted in (
        "BatchMode=yes",
        "IdentityAgent=none",
        "StrictHostKeyChecking=accept-new",
        f'UserKnownHostsFile="{mirrors}/known_hosts"',
        "HostKeyAlias=[127.0.0.1]:2222",
    ):
        assert wanted in arguments


def test_redirects_are_refused_so_that_no_credential_goes_elsewhere(
    repository: Repository,
) -> None:
    repository.commit()
    with (
        a_git_server(repository.folder.parent, login=f"ada:{PASSWORD}") as other,
        a_git_server(repository.folder.parent, redirect=other.address) as server,
        pytest.raises(SourceUnreachableError, match="it has moved"),
    ):
        list_refs(server.url("repository/.git"), credential=a_login())
    assert other.asked == []


def test_a_credential_of_the_wrong_kind_is_refused(repository: Repository) -> None:
    with pytest.raises(SourceCredentialError, match="kind variable"):
        list_refs("http://127.0.0.1:1/x.git", credential=a_login(kind="variable"))
    with pytest.raises(SourceCredentialError, match="one of kind ssh-key"):
        list_refs("git@127.0.0.1:x.git", credential=a_login())


# --- Files ----------------------------------------------------------------------------------------
def test_the_belt_file_is_read_at_the_commit(repository: Repository) -> None:
    first = repository.commit("product: one\n", path=".conveyor.yml")
    second = repository.commit("product: two\n", path=".conveyor.yml")
    source = source_of(repository)
    assert read_belt_file(source, first) == b"product: one\n"
    assert read_belt_file(source, second) == b"product: two\n"


def test_the_belt_file_may_lie_elsewhere(repository: Repository) -> None:
    commit = repository.commit("product: one\n", path="ci/belts *.yml")
    source = source_of(repository, path="ci/belts *.yml")
    assert read_belt_file(source, commit) == b"product: one\n"


def test_missing_file_folder_and_link_have_different_errors(repository: Repository) -> None:
    repository.commit(path="folder/file")
    (repository.folder / "link").symlink_to("/etc/passwd")
    commit = repository.commit()
    for path, said in (
        (".conveyor.yml", "There is no file .conveyor.yml"),
        ("folder", "is a folder"),
        ("link", "no plain file"),
    ):
        source = source_of(repository, path=path)
        with pytest.raises(FileMissingError, match=said):
            read_belt_file(source, commit)


def test_a_file_that_is_too_large_is_refused(repository: Repository) -> None:
    commit = repository.commit("#" * (256 * 1024 + 1), path=".conveyor.yml")
    with pytest.raises(FileTooLargeError, match="256 KiB"):
        read_belt_file(source_of(repository), commit)


def test_a_private_belt_file_is_read_with_the_sources_credential(repository: Repository) -> None:
    commit = repository.commit("product: one\n", path=".conveyor.yml")
    product = a_product()
    credential = a_credential(product, kind="git", username="ada")
    set_value(credential, PASSWORD)
    with a_git_server(repository.folder.parent, login=f"ada:{PASSWORD}") as server:
        url = server.url("repository/.git")
        source = a_source(product, url=url, credential=credential)
        assert read_belt_file(source, commit) == b"product: one\n"


# --- Checkouts ------------------------------------------------------------------------------------
def test_a_checkout_tells_where_it_is_from_and_stands(
    repository: Repository, tmp_path: Path
) -> None:
    commit = repository.commit("product: one\n", path=".conveyor.yml")
    clone = tmp_path / "clone"
    repository.git("clone", "-q", repository.url, str(clone))
    (clone / ".conveyor.yml").write_text("product: changed\n")
    (clone / "below").mkdir()
    checkout = open_checkout(clone / "below")
    assert checkout is not None
    assert (checkout.root, checkout.origin) == (clone, repository.url)
    assert (checkout.commit, checkout.branch, checkout.default_branch) == (commit, "main", "main")
    assert checkout.file_at_head(".conveyor.yml") == b"product: one\n"
    assert checkout.file_in_tree(".conveyor.yml") == b"product: changed\n"


def test_a_login_in_the_origin_is_not_taken_over(repository: Repository) -> None:
    repository.git("remote", "add", "origin", f"https://ada:{PASSWORD}@git.example/x.git")
    checkout = open_checkout(repository.folder)
    assert checkout is not None
    assert checkout.origin == "https://git.example/x.git"
    assert (checkout.commit, checkout.branch) == ("", "main")
    with pytest.raises(FileMissingError, match="Nothing is committed"):
        checkout.file_at_head(".conveyor.yml")


def test_a_folder_that_git_does_not_look_after_is_no_checkout(tmp_path: Path) -> None:
    assert open_checkout(tmp_path) is None
