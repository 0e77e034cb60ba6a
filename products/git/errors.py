"""What can go wrong with a repository, as sentences without secrets."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from products.errors import PlatformError, UserError

# What is compared to find the ref that was meant: names of so many characters, so many of them.
_LONGEST_COMPARED = 80
_MOST_COMPARED = 200
_MOST_LISTED = 8


class SourceUrlError(UserError):
    """Something is no address that a repository may be fetched from."""

    code = "source.url"


class SourceCredentialError(UserError):
    """A source's credential is of a kind that its address has no use for."""

    code = "source.credential"


class SourceUnreachableError(PlatformError):
    """A repository could not be read; the sentence says why and what helps."""

    code = "source.unreachable"

    def __init__(self, shown_url: str, why: str) -> None:
        super().__init__(f"The repository {shown_url} could not be read: {why}")


class RepositoryTooLargeError(UserError):
    """A repository, or what a run needs of it, is larger than the site allows."""

    code = "source.too-large"
    http_status = 409

    def __init__(self, shown_url: str, limit: int) -> None:
        super().__init__(
            f"The repository {shown_url} needs more than {limit / 1024**2:,.0f} MiB on a machine, "
            "the most that one may have. Take large files out of its history, or have an "
            "administrator raise the limit: admin, Configuration, Repository limit."
        )


class RefMissingError(UserError):
    """A repository has no such branch, tag or commit."""

    code = "source.ref-missing"
    http_status = 409

    def __init__(self, ref: str, shown_url: str, known: Collection[str] = ()) -> None:
        super().__init__(
            f"The repository {shown_url} has no branch, tag or full commit id {ref!a}. "
            + _hint(ref, known)
        )


class CommitMissingError(UserError):
    """A repository does not have a commit, or no longer."""

    code = "source.ref-missing"
    http_status = 409

    def __init__(self, commit: str, shown_url: str) -> None:
        super().__init__(
            f"The repository {shown_url} has no commit {commit}; a forced push may have removed "
            "it. Start the belt again from a branch or tag."
        )


class CommitRefusedError(UserError):
    """A repository was reached, and what it has under an id can never be used."""

    code = "source.commit-refused"
    http_status = 409

    def __init__(self, commit: str, shown_url: str, why: str) -> None:
        super().__init__(f"The object {commit} of the repository {shown_url} is refused: {why}")


class ShallowRepositoryError(UserError):
    """A repository lacks a part of its history, so that no commit can be fetched whole."""

    code = "source.shallow"
    http_status = 409

    def __init__(self, shown_url: str) -> None:
        super().__init__(
            f"The repository {shown_url} is a shallow clone: a part of its history is missing. Run "
            "git fetch --unshallow in it, or name the repository that it was cloned from."
        )


class EmptyRepositoryError(UserError):
    """A repository has no commit on a default branch."""

    code = "source.ref-missing"
    http_status = 409

    def __init__(self, shown_url: str) -> None:
        super().__init__(
            f"The repository {shown_url} has no commit on a default branch yet. Push one, or name "
            "a branch or tag with --ref."
        )


class FileMissingError(UserError):
    """A commit or folder does not have the file."""

    code = "file.missing"


class FileTooLargeError(UserError):
    """The file is larger than any belt file may be."""

    code = "file.too-large"

    def __init__(self, path: str, where: str, limit: int) -> None:
        super().__init__(
            f"The file {path} {where} is larger than {limit // 1024} KiB, the most that a belt "
            "file may have."
        )


class GitMissingError(PlatformError):
    """This machine has no git."""

    code = "git.missing"

    def __init__(self) -> None:
        super().__init__(
            "This machine has no git. Install it (apt-get install git) and start Conveyor again."
        )


def _hint(ref: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(ref, _comparable(ref, known), n=1, cutoff=0.6)
    if near:
        return f"Did you mean {near[0]}?"
    if not known:
        return "It has none at all."
    shown = ", ".join(sorted(known)[:_MOST_LISTED])
    rest = len(known) - _MOST_LISTED
    return f"It has {shown}{f' and {rest} more' if rest > 0 else ''}."


def _comparable(ref: str, known: Collection[str]) -> list[str]:
    """Return the names worth comparing, which takes long for long ones and for many of them."""
    if len(ref) > _LONGEST_COMPARED:
        return []
    near = [name for name in known if len(name) <= _LONGEST_COMPARED]
    near.sort(key=lambda name: abs(len(name) - len(ref)))
    return near[:_MOST_COMPARED]
