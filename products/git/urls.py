"""Addresses of repositories: which may be used, which are the same, and how one is fetched.

An address is kept as it was written. What git is given is taken apart and put together again
here, so that it holds nothing that this module does not know.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Literal

from products.configuration import current
from products.git.errors import SourceUrlError
from products.git.logins import shown

Scheme = Literal["https", "http", "ssh", "git", "file"]

LONGEST_URL = 1000
_DEFAULT_PORTS = {"https": 443, "http": 80, "ssh": 22, "git": 9418}
# Hosts on which paths differ by more than their case.
_CASELESS_HOSTS = frozenset({"github.com", "gitlab.com", "bitbucket.org", "codeberg.org"})

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL}){{0,39}}\.?|\[[0-9A-Fa-f:.]{{2,45}}\]"
_USER = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}"
_PATH = r"[A-Za-z0-9._~%+@:,()&=!/-]+"
_REMOTE = re.compile(
    rf"(?P<scheme>[a-z]+)://(?:(?P<user>{_USER})@)?(?P<host>{_HOST})(?::(?P<port>[0-9]{{1,5}}))?"
    rf"(?P<path>/{_PATH})"
)
_SCP = re.compile(rf"(?:(?P<user>{_USER})@)?(?P<host>{_HOST}):(?P<path>{_PATH})")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,19}")
_UNPRINTABLE = re.compile(r"[^\x21-\x7e]")
_LOCAL_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class GitUrl:
    """An address, taken apart; ``port`` is None for the scheme's own, ``host`` empty for a path.

    ``scp`` tells that it was written as user@host:path, whose path begins in the user's home.
    """

    scheme: Scheme
    host: str
    path: str
    user: str = ""
    port: int | None = None
    scp: bool = False

    def __str__(self) -> str:
        """Return what git is given."""
        user = f"{self.user}@" if self.user else ""
        if self.scheme == "file":
            return self.path
        if self.scp:
            return f"{user}{self.host}:{self.path}"
        port = f":{self.port}" if self.port is not None else ""
        return f"{self.scheme}://{user}{self.host}{port}{self.path}"

    @property
    def bare_host(self) -> str:
        """Return the host, an IPv6 address without its brackets."""
        return self.host.strip("[]")

    @property
    def effective_port(self) -> int:
        """Return the port that is connected to, 0 for a path."""
        return self.port if self.port is not None else _DEFAULT_PORTS.get(self.scheme, 0)

    def fetched(self) -> GitUrl:
        """Return the address that is fetched: git:// has no protection and is read over https."""
        return GitUrl("https", self.host, self.path) if self.scheme == "git" else self

    @property
    def identity(self) -> tuple[str, str]:
        """Return host and path as they are compared."""
        path = posixpath.normpath(self.path).strip("/") if self.host else self.path
        if not self.host:
            path = posixpath.normpath(path).removesuffix("/.git")
        path = path.removesuffix(".git")
        host = self.host.lower().rstrip(".")
        return host, path.lower() if host in _CASELESS_HOSTS else path


def parse_url(url: str) -> GitUrl:
    """Return the parts of an address; raises SourceUrlError for what can be none.

    Whether this site allows it is not asked: ``check_url`` does.
    """
    if len(url) > LONGEST_URL:
        raise SourceUrlError(f"The address of a repository has at most {LONGEST_URL} characters.")
    # A scheme has no case. Reference: RFC 3986, 3.1.
    if url.startswith("/") or url[:8].lower() == "file:///":
        return _local(url)
    if _UNPRINTABLE.search(url) or not url:
        raise SourceUrlError(
            f"{_shown_remains(url)!a} is no address of a repository: it may hold no blanks and "
            "only ASCII characters. Write others with %, as in %20."
        )
    parsed = _remote(url) if "://" in url else _scp(url)
    if ".." in parsed.path.split("/") or parsed.path.startswith("-") or "/-" in parsed.path:
        raise SourceUrlError(
            f"{shown(url)} is no address of a repository: no part of a path may be '..' or begin "
            "with '-'."
        )
    return parsed


def _local(url: str) -> GitUrl:
    path = url if url.startswith("/") else url[len("file://") :]
    if _LOCAL_UNPRINTABLE.search(path) or ".." in path.split("/"):
        raise SourceUrlError(
            f"{path[:80]!a} is no path of a repository: it may hold no control characters and no "
            "part '..'."
        )
    return GitUrl("file", "", path)


def _remote(url: str) -> GitUrl:
    written, _, rest = url.partition("://")
    scheme = written.lower()
    url = f"{scheme}://{rest}"
    if scheme not in _DEFAULT_PORTS:
        # What is no scheme may be a login.
        over = repr(scheme) if _SCHEME.fullmatch(scheme) else "what stands before ://"
        raise SourceUrlError(
            f"Repositories are not fetched over {over}. "
            "Write an address that begins with https:// or ssh://, or user@host:path."
        )
    match = _REMOTE.fullmatch(url)
    if match is None:
        _refuse_login(url)
        raise SourceUrlError(
            f"{shown(url)[:200]!a} is no address of a repository. Write it as https://host/path, "
            "ssh://user@host/path or user@host:path."
        )
    if match["user"] and scheme != "ssh":
        _refuse_login(url)
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 0 < port < 65536:
        raise SourceUrlError(f"{port} is no port. Ports are 1 to 65535.")
    if port == _DEFAULT_PORTS[scheme]:
        port = None
    return GitUrl(scheme, match["host"], match["path"], match["user"] or "", port)  # type: ignore[arg-type]  # known to be one of them


def _refuse_login(url: str) -> None:
    if "@" in url and shown(url) != url:
        raise SourceUrlError(
            f"The address {shown(url)} was written with a username or password in it. Take them "
            "out, and give the source a credential of kind git instead."
        )


def _scp(url: str) -> GitUrl:
    match = _SCP.fullmatch(url)
    if match is not None and not match["user"] and "@" in match["path"]:
        raise SourceUrlError(
            f"The address {_shown_remains(url)} was written with a password in it. Write "
            "user@host:path, and give the source a credential of kind ssh-key."
        )
    if match is None or match["path"].startswith(":"):
        raise SourceUrlError(
            f"{_shown_remains(url)!a} is no address of a repository. Write it as "
            "https://host/path, ssh://user@host/path, user@host:path, or as a path from the root "
            "of this machine."
        )
    return GitUrl("ssh", match["host"], match["path"], match["user"] or "", scp=True)


def _shown_remains(text: str) -> str:
    """Return what is no address, without what may be a login in it, whatever that holds."""
    login, at, rest = text.rpartition("@")
    return shown(rest if at and ":" in login else text)[:80]


def check_url(url: str) -> GitUrl:
    """Return the parts of an address that this site allows; raises SourceUrlError otherwise.

    Paths, and hosts that are this machine by name, need ``allow_local_sources`` of the
    configuration, http needs ``allow_http_sources``.
    """
    parsed = parse_url(url)
    here = parsed.scheme == "file" or is_this_machine(parsed)
    if not here and parsed.fetched().scheme != "http":
        return parsed
    configuration = current()
    if here and not configuration.allow_local_sources:
        raise SourceUrlError(
            f"The repository {shown(url)} is on this machine, and this site allows no such "
            "sources. An administrator can: admin, Configuration, Allow local sources."
        )
    if parsed.scheme == "http" and not configuration.allow_http_sources:
        raise SourceUrlError(
            f"The repository {shown(url)} would be read without any protection. Write https://, "
            "or have an administrator allow it: admin, Configuration, Allow http sources."
        )
    return parsed


def is_this_machine(parsed: GitUrl) -> bool:
    """Return whether the address says by itself that it is on this machine."""
    host = parsed.bare_host.lower().rstrip(".")
    named = host == "localhost" or host.endswith(".localhost")
    return named or host.startswith("127.") or host == "::1"


def same_repository(a: str, b: str) -> bool:
    """Return whether two addresses, in whatever form, are of one repository.

    Scheme, username, ".git" at the end and a slash there do not matter; ports do where both are
    of the web, or both of ssh. What is no address is only the same as itself.
    """
    if a == b:
        return True
    try:
        one, other = parse_url(a), parse_url(b)
    except SourceUrlError:
        return False
    if one.identity != other.identity:
        return False
    comparable = (one.scheme == "ssh") == (other.scheme == "ssh")
    return not comparable or one.fetched().port == other.fetched().port


def same_host(a: str, b: str) -> bool:
    """Return whether two addresses lead to the same host, so that one's credential may go there."""
    try:
        one, other = parse_url(a).fetched(), parse_url(b).fetched()
    except SourceUrlError:
        return False
    return (one.scheme, one.host.lower(), one.port) == (
        other.scheme,
        other.host.lower(),
        other.port,
    )


def fetch_url(url: str) -> str:
    """Return what is given to git for an address as written; raises SourceUrlError."""
    return str(parse_url(url).fetched())
