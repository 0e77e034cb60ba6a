"""From git's words to sentences for people, which hold no secret and say what helps."""

from __future__ import annotations

import re

from products.errors import ConveyorError
from products.git.allowance import Allowance
from products.git.commands import GitFailedError
from products.git.errors import (
    CommitRefusedError,
    RepositoryTooLargeError,
    SourceUnreachableError,
)
from products.git.urls import shown

_REFUSED = (
    r"Authentication failed|could not read (Username|Password)|Permission denied \("
    r"|requested URL returned error: 40[13]|Invalid username or|Access denied|HTTP Basic"
)
_NOT_THERE = (
    r"not found|requested URL returned error: 404|does not exist|Could not find repository"
    r"|does not appear to be a git repository|No such file or directory|not a git repository"
)
#: What is said instead where the source has a credential.
_WITH_CREDENTIAL = {
    _REFUSED: "it refused the credential {name}. See that its username and password, or its key, "
    "are right and still hold, and that it may read this repository.",
    _NOT_THERE: "there is no repository at this address, or none that the credential {name} may "
    "see. Check the address, and what the credential may read.",
}
_KNOWN: tuple[tuple[str, str], ...] = (
    (
        r"redirect|requested URL returned error: 30\d",
        "it has moved, and redirects are not followed, as a credential would go with them. Write "
        "its new address.",
    ),
    (
        _REFUSED,
        "it lets nobody in without a credential that it knows. Give the source one that may read "
        "this repository, of kind git for https or of kind ssh-key for ssh: in the admin under "
        "Sources, or with import_conveyor_yml --credential NAME.",
    ),
    (
        r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its host shows another key than before. If that is right, take the old one out of "
        "known_hosts beside the mirrors, or put the new one into /etc/ssh/ssh_known_hosts.",
    ),
    (
        _NOT_THERE,
        "there is no repository at this address, or none that may be seen from here. Check the "
        "address. If the repository is private, give the source a credential: in the admin under "
        "Sources, or with import_conveyor_yml --credential NAME.",
    ),
    (
        r"Could not resolve|Name or service not known|Temporary failure in name resolution",
        "the name of its host cannot be resolved. Check its spelling and this machine's network.",
    ),
    (
        r"SSL|certificate|gnutls|TLS",
        "its certificate is not one that this machine trusts. Name your authority's file in "
        "SSL_CERT_FILE.",
    ),
    (
        r"timed out|Operation too slow|Timeout",
        "it did not answer in time. Try again later.",
    ),
    (
        r"No space left on device|Disk quota exceeded",
        "there is no room left on this machine's disk. Make some, in the data folder or the work "
        "folder.",
    ),
    (
        r"Connection refused|Failed to connect|Network is unreachable|No route to host"
        r"|Connection (reset|closed)|Couldn't connect|Empty reply|early EOF|hung up"
        r"|requested URL returned error: (429|5\d\d)",
        "its host cannot be reached or does not answer as it should. Try again later.",
    ),
    (r"cannot run ssh|ssh: not found", "this machine has no ssh. Install it (openssh-client)."),
)
#: Answers about one object, which no further try changes.
_REFUSED_OBJECTS: tuple[tuple[str, str], ...] = (
    (
        r"non-commit object|expected commit type|is not a commit|is a (blob|tree), not a commit",
        "it is no commit. Let the tag name a commit.",
    ),
    (
        r"error in (commit|tree|tag|blob)|fsck error|badTree|gitmodules\w+:",
        "it is malformed or made to attack git. Remove it from the history of the branch or tag.",
    ),
)
_DAMAGED = re.compile(
    r"corrupt|bad object|not a git repository|missing (blob|tree|commit)|unable to read"
    r"|object file .* is empty|packfile|invalid (index-pack|object)|did not send all necessary"
    r"|loose object"
)
_MISSING_COMMIT = re.compile(r"not our ref|couldn't find remote ref|unable to find remote ref")
_NOT_ADVERTISED = re.compile(r"unadvertised object|does not allow request")
_NOT_IN_PARTS = re.compile(
    r"does not support (shallow|--|depth)|not support shallow|filter '[^']*' not supported",
    re.IGNORECASE,
)
_TOO_LARGE = re.compile(r"^(fatal|error): [^\n]*File too large", re.MULTILINE)
_FATAL = re.compile(r"(?:fatal|error): ([^\n]{1,200})")


def unreachable(url: str, error: GitFailedError, *, timeout_s: float) -> SourceUnreachableError:
    """Return the error with a sentence for what git said about the repository."""
    return SourceUnreachableError(shown(url), _why(error, timeout_s))


def refused_object(url: str, commit: str, error: GitFailedError) -> CommitRefusedError | None:
    """Return the error if git's answer is about the object itself, so that no retry helps."""
    if error.timed_out:
        return None
    for pattern, why in _REFUSED_OBJECTS:
        if re.search(pattern, error.stderr, re.IGNORECASE):
            return CommitRefusedError(commit, shown(url), why)
    return None


def failed(url: str, error: GitFailedError, allowance: Allowance) -> ConveyorError:
    """Return the error of what was fetched within the allowance."""
    if is_too_large(error):
        return RepositoryTooLargeError(shown(url), allowance.room_bytes)
    if error.timed_out:
        why = f"it was not done within {allowance.seconds:.0f} s. Try again later."
        return SourceUnreachableError(shown(url), f"{why} {allowance.way_out}".rstrip())
    return unreachable(url, error, timeout_s=allowance.seconds)


def _why(error: GitFailedError, timeout_s: float) -> str:
    if error.timed_out:
        return f"it did not answer within {timeout_s:.0f} s. Try again later."
    for pattern, sentence in _KNOWN:
        if re.search(pattern, error.stderr, re.IGNORECASE):
            other = _WITH_CREDENTIAL.get(pattern) if error.credential else None
            return other.format(name=error.credential) if other is not None else sentence
    fatal = _FATAL.search(error.stderr)
    said = shown(fatal[1]) if fatal else "nothing that would tell why"
    plain = "".join(char if char.isprintable() else " " for char in said)
    return f"git said: {plain.strip()}"


def is_damage(error: GitFailedError) -> bool:
    """Return whether git speaks of damage to what is stored on this machine."""
    return not (error.timed_out or is_too_large(error)) and bool(_DAMAGED.search(error.stderr))


def is_too_large(error: GitFailedError) -> bool:
    """Return whether git may write no file as large as it needs."""
    return not error.timed_out and _TOO_LARGE.search(error.stderr) is not None


def is_missing_commit(error: GitFailedError) -> bool:
    """Return whether the repository said that it does not have the commit."""
    return _MISSING_COMMIT.search(error.stderr) is not None


def is_not_advertised(error: GitFailedError) -> bool:
    """Return whether the repository hands out nothing but the heads of branches and tags."""
    return _NOT_ADVERTISED.search(error.stderr) is not None


def is_whole_or_nothing(error: GitFailedError) -> bool:
    """Return whether the repository said that it hands out no parts: no lone commit or file."""
    return is_not_advertised(error) or _NOT_IN_PARTS.search(error.stderr) is not None
