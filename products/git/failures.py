"""From what git writes to sentences for people: why it failed and what helps, without secrets."""

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
from products.git.logins import shown

_REFUSED = (
    r"Authentication failed|could not read (Username|Password)|Permission denied \("
    r"|requested URL returned error: 40[13]|Invalid username or|Access denied|HTTP Basic"
)
_NOT_THERE = (
    r"not found|requested URL returned error: (404|410)|does not exist|Could not find repository"
    r"|does not appear to be a git repository|No such file or directory|not a git repository"
    r"|is this a git repository"
)
_GIVE_ONE = "in the admin under Sources, or with import_conveyor_yml --credential NAME."
#: What is said instead where the source has a credential.
_WITH_CREDENTIAL = {
    _REFUSED: "its host refused the credential {name}. Check that its username and password, or "
    "its key, are right and still valid, and that it may read this repository.",
    _NOT_THERE: "there is no repository at this address, or none that the credential {name} may "
    "see. Check the address, and what the credential may read.",
}
# The damage that git reports of the repository itself. A connection that is cut in the middle of a
# pack is none: "invalid index-pack" and "early EOF" are left out.
_DAMAGED_THERE = (
    r"corrupt|bad (tree )?object|missing (blob|tree|commit)|unable to read [0-9a-f]{40}"
    r"|object file .* is empty|did not send all necessary|data stream error|pack-objects died"
    r"|file size mismatch|\.pack cannot be accessed|unable to parse object|loose object"
    r"|bad config line|unexpected line in \S*packed-refs"
)
#: Each kind of failure, the first that fits: why it failed, and what helps.
_KNOWN: tuple[tuple[str, str], ...] = (
    # Of this machine.
    (
        r"cannot run ssh|ssh: not found",
        "this machine has no ssh. Install it (openssh-client).",
    ),
    (
        r"No space left on device|Disk quota exceeded",
        "the disk of this machine is full. Free space in the data folder or in the work folder.",
    ),
    (
        r"Read-only file system",
        "the data folder or the work folder of this machine is read-only. Make it writable.",
    ),
    (
        r"Out of memory|Cannot allocate memory|cannot fork|unable to fork"
        r"|Resource temporarily unavailable",
        "this machine has too little memory or too many processes. Try again later.",
    ),
    (
        r"No user exists for uid",
        "ssh needs an account for the user that Conveyor runs as. Add one to /etc/passwd.",
    ),
    (
        r"unknown repository extension|Expected git repo version|unknown object format"
        r"|mismatched algorithms|unsupported hash",
        "its format is newer than the git of this machine. Install a newer git.",
    ),
    # Of the way there.
    (
        r"from proxy|CONNECT tunnel|Proxy CONNECT|resolve proxy",
        "the proxy of this machine refused the connection. Check https_proxy and no_proxy.",
    ),
    (
        r"redirect|requested URL returned error: 30\d",
        "it has moved. Redirects are not followed, because a credential would be sent along. Write "
        "its new address.",
    ),
    (
        r"Could not resolve|Name or service not known|Temporary failure in name resolution",
        "the name of its host cannot be resolved. Check its spelling and this machine's network.",
    ),
    (
        r"no matching (host key|key exchange|cipher|mac)|Unable to negotiate",
        "its host and the ssh of this machine have no common key type or cipher. Update ssh on "
        "the host.",
    ),
    (
        r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its host shows another key than before. If that is right, remove the old key from "
        "known_hosts beside the mirrors, or put the new one into /etc/ssh/ssh_known_hosts.",
    ),
    (
        r"wrong version number|packet length|unexpected TLS packet|unknown protocol",
        "its host does not speak TLS at this port. Check the port, and https:// against http://.",
    ),
    (
        r"certificate has expired|certificate is expired|expired certificate",
        "the certificate of its host has expired. Have it renewed.",
    ),
    (
        r"certificate subject name|no alternative certificate|owner does not match",
        "the certificate of its host is for another name. Write the host as the certificate does.",
    ),
    (
        r"SSL certificate|server certificate|certificate verif|self.signed|unable to get local",
        "this machine does not trust the certificate of its host. Name the file of your "
        "authority in SSL_CERT_FILE.",
    ),
    # Of what is there.
    (
        _DAMAGED_THERE,
        "it is damaged: objects are missing or cannot be read. Have its owner run git fsck on its "
        "host, and push the missing commits again.",
    ),
    (
        r"protocol error|bad line length|bad band",
        "its host sends other text before the answer of git, such as a greeting. Have an "
        "administrator of the host switch that off for ssh commands.",
    ),
    (
        r"(git-upload-pack|git): (command )?not found",
        "its host has no git. Have an administrator of the host install it.",
    ),
    (
        _REFUSED,
        "it lets nobody in without a credential that it knows. Give the source one that may read "
        f"this repository, of kind git for https or of kind ssh-key for ssh: {_GIVE_ONE}",
    ),
    (
        _NOT_THERE,
        "there is no repository at this address, or none that may be seen from here. Check the "
        f"address. If the repository is private, give the source a credential: {_GIVE_ONE}",
    ),
    (
        r"unable to access '/|Permission denied",
        "the user that Conveyor runs as may not read it. Give that user the right to read its "
        "folder and its files.",
    ),
    # Of the moment.
    (
        r"timed out|Operation too slow|Timeout",
        "it did not answer in time. Try again later.",
    ),
    (
        r"Connection refused|Failed to connect|Network is unreachable|No route to host"
        r"|Connection (reset|closed)|Couldn't connect|Empty reply|early EOF|hung up|disconnect"
        r"|requested URL returned error: (429|5\d\d)|SSL|TLS|gnutls",
        "its host cannot be reached, or it broke off its answer. Try again later.",
    ),
    (
        r"requested URL returned error: 4\d\d",
        "its host refused the request. Check the address, and whether something else answers in "
        "place of the host, such as a firewall.",
    ),
    (
        r"Could not read from remote repository",
        "ssh could not connect to its host and gave no reason. Try ssh to this host on the "
        "machine that reads it.",
    ),
)
#: Answers about one object, which no further try changes.
_REFUSED_OBJECTS: tuple[tuple[str, str], ...] = (
    (
        r"non-commit object|expected commit type|is not a commit|is a (blob|tree), not a commit",
        "it is no commit. Move the tag to a commit.",
    ),
    (
        r"error in (commit|tree|tag|blob)|fsck error|badTree|gitmodules\w+:",
        "git finds it malformed, or made to attack git. Remove it from the history of the branch "
        "or tag.",
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
    """Return the error with the sentence for what git wrote about the repository."""
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
    said = shown(fatal[1]) if fatal else "no reason given"
    plain = "".join(char if char.isprintable() else " " for char in said)
    return f"git failed ({plain.strip()}). Try git ls-remote with it on the machine that reads it."


def is_damage(error: GitFailedError) -> bool:
    """Return whether git speaks of damage to what is stored on this machine."""
    return not (error.timed_out or is_too_large(error)) and bool(_DAMAGED.search(error.stderr))


def is_too_large(error: GitFailedError) -> bool:
    """Return whether git may write no file as large as it needs."""
    return not error.timed_out and _TOO_LARGE.search(error.stderr) is not None


def is_missing_commit(error: GitFailedError) -> bool:
    """Return whether the repository said that it does not have the commit.

    A damaged one says so of commits that its branches name.
    """
    damaged = re.search(_DAMAGED_THERE, error.stderr, re.IGNORECASE)
    return damaged is None and _MISSING_COMMIT.search(error.stderr) is not None


def is_not_advertised(error: GitFailedError) -> bool:
    """Return whether the repository hands out nothing but the heads of branches and tags."""
    return _NOT_ADVERTISED.search(error.stderr) is not None


def is_whole_or_nothing(error: GitFailedError) -> bool:
    """Return whether the repository said that it hands out no parts: no lone commit or file."""
    return is_not_advertised(error) or _NOT_IN_PARTS.search(error.stderr) is not None
