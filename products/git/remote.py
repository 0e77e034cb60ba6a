"""Asking a repository what it has, without fetching any of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from products.credentials import OpenedCredential, open_for_source
from products.git.access import open_access
from products.git.commands import GitFailedError, OutputTooLongError, run_git
from products.git.commits import is_commit_id
from products.git.errors import (
    CommitMissingError,
    EmptyRepositoryError,
    RefMissingError,
    SourceUnreachableError,
)
from products.git.failures import unreachable
from products.git.logins import shown
from products.git.mirror import ensure_commit, is_ancestor, is_in_a_branch_or_tag
from products.git.site import allowed_for_history, mirrors_folder
from products.git.urls import check_url
from products.models import Source

LIST_TIMEOUT_S = 20.0
_HEADS, _TAGS = "refs/heads/", "refs/tags/"
_PEELED = "^{}"
_LONGEST_REF = 500
LONGEST_BRANCH = 255
LONGEST_TAG = _LONGEST_REF - len(_TAGS)
_MOST_BYTES = 64 * 1024 * 1024
_LINE = re.compile(r"(?P<commit>[0-9a-f]{40}|[0-9a-f]{64})\t(?P<ref>[!-~\x80-\U0010ffff]+)")
_SYMREF = re.compile(r"ref: refs/heads/(?P<branch>[!-~\x80-\U0010ffff]+)\tHEAD")
_USUAL_BRANCHES = ("main", "master", "trunk")


@dataclass(frozen=True, slots=True)
class RemoteRefs:
    """What a repository has: ``refs`` are full names of branches and tags with their commits.

    An annotated tag stands with the commit that it names. ``default_branch`` and ``head_commit``
    are empty for a repository without commits. ``passed_over`` are the names of branches and tags
    that cannot be stored.
    """

    default_branch: str
    head_commit: str
    refs: Mapping[str, str]
    passed_over: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ResolvedRef:
    """The one commit that somebody asked for; ``branch`` is empty for a tag.

    A ``foreign`` one is in no branch and no tag of the repository: it may be a fork's.
    """

    commit: str
    ref: str
    branch: str
    on_default_branch: bool
    foreign: bool = False


def list_refs(url: str, *, credential: OpenedCredential | None = None) -> RemoteRefs:
    """Return the branches and tags of a repository that this site allows.

    Raises SourceUrlError, SourceCredentialError and SourceUnreachableError.
    """
    check_url(url)
    return ask_refs(url, credential)


def ask_refs(url: str, credential: OpenedCredential | None) -> RemoteRefs:
    """Return what ``list_refs`` does, of an address that was checked; touches no database."""
    mirrors = mirrors_folder()
    mirrors.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open_access(url, credential, mirrors) as (address, access):
        try:
            # No patterns: an old server would not tell the symbolic HEAD.
            listed = run_git(
                ["ls-remote", "--quiet", "--symref", "--end-of-options", address],
                access=access,
                timeout_s=LIST_TIMEOUT_S,
                limit_bytes=_MOST_BYTES,
            )
        except GitFailedError as error:
            raise unreachable(url, error, timeout_s=LIST_TIMEOUT_S) from error
        except OutputTooLongError as error:
            raise SourceUnreachableError(
                shown(url), "its list of branches and tags is longer than 64 MiB. Remove some."
            ) from error
    return _refs_of(listed.decode("utf-8", errors="surrogateescape"))


def _refs_of(text: str) -> RemoteRefs:
    refs: dict[str, str] = {}
    passed_over: dict[str, None] = {}
    head, default = "", ""
    for line in text.split("\n"):
        symbolic = _SYMREF.fullmatch(line)
        if symbolic is not None:
            default = symbolic["branch"]
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        ref = match["ref"].removesuffix(_PEELED)
        if not match["commit"].strip("0"):
            continue  # a broken ref, which leads nowhere
        if ref == "HEAD":
            head = match["commit"]
        elif ref.startswith((_HEADS, _TAGS)) and not _can_be_stored(ref):
            passed_over[ref] = None
        elif ref.startswith((_HEADS, _TAGS)):
            refs[ref] = match["commit"]
    default = _default_branch(default, head, refs)
    return RemoteRefs(default, refs.get(_HEADS + default, ""), refs, tuple(passed_over))


def _can_be_stored(ref: str) -> bool:
    """Return whether the database can hold the name of a branch or tag."""
    if any("\ud800" <= char <= "\udfff" for char in ref):
        return False
    if ref.startswith(_HEADS):
        return len(ref) - len(_HEADS) <= LONGEST_BRANCH
    return len(ref) <= _LONGEST_REF


def _default_branch(told: str, head: str, refs: Mapping[str, str]) -> str:
    """Return the branch that HEAD means; one that is not there means the usual or only one."""
    if _HEADS + told in refs:
        return told
    branches = [ref.removeprefix(_HEADS) for ref in refs if ref.startswith(_HEADS)]
    candidates = [each for each in branches if not head or refs[_HEADS + each] == head]
    usual = [each for each in _USUAL_BRANCHES if each in candidates]
    if usual:
        return usual[0]
    return candidates[0] if len(candidates) == 1 else ""


# --- One ref --------------------------------------------------------------------------------------
def resolve_ref(source: Source, ref: str = "") -> ResolvedRef:
    """Return the commit that ``ref`` is now: a branch, tag, full name or full commit id.

    Nothing means the head of the default branch. Raises RefMissingError, EmptyRepositoryError,
    CommitMissingError, and what ``list_refs`` and ``open_for_source`` raise.
    """
    credential = open_for_source(source)
    remote = list_refs(source.url, credential=credential)
    if ref in ("", "HEAD"):
        if not remote.head_commit:
            raise EmptyRepositoryError(shown(source.url))
        return _named(remote, _HEADS + remote.default_branch)
    for name in (ref, _HEADS + ref, _TAGS + ref):
        if name in remote.refs:
            return _named(remote, name)
    if is_commit_id(ref):
        return _commit(source, remote, ref, credential)
    known = [name.removeprefix(_HEADS).removeprefix(_TAGS) for name in remote.refs]
    raise RefMissingError(ref, shown(source.url), known)


def _named(remote: RemoteRefs, name: str) -> ResolvedRef:
    branch = name.removeprefix(_HEADS) if name.startswith(_HEADS) else ""
    on_default = bool(branch) and branch == remote.default_branch
    return ResolvedRef(remote.refs[name], name, branch, on_default)


def _commit(
    source: Source, remote: RemoteRefs, commit: str, credential: OpenedCredential | None
) -> ResolvedRef:
    """Return what is known of a commit: the branch whose head it is, or the default branch's."""
    default = _HEADS + remote.default_branch
    heads = [name for name, head in remote.refs.items() if head == commit]
    if default in heads:
        return _named(remote, default)
    branches = [name for name in heads if name.startswith(_HEADS)]
    if branches:
        return _named(remote, branches[0])
    allowance = allowed_for_history()
    ensure = partial(
        ensure_commit, mirrors_folder(), source.url, credential=credential, allowance=allowance
    )
    mirror = ensure(commit)
    if remote.head_commit:
        ensure(remote.head_commit)
        if is_ancestor(mirror, commit, remote.head_commit):
            return ResolvedRef(commit, commit, remote.default_branch, on_default_branch=True)
    known = bool(heads) or is_in_a_branch_or_tag(
        mirror, source.url, commit, credential=credential, allowance=allowance
    )
    return ResolvedRef(commit, commit, "", on_default_branch=False, foreign=not known)


__all__ = [
    "CommitMissingError",
    "RefMissingError",
    "RemoteRefs",
    "ResolvedRef",
    "SourceUnreachableError",
    "ask_refs",
    "list_refs",
    "resolve_ref",
]
