"""How git is let into a repository with a credential: bound to its host, and never in a command.

* **https**: a credential helper that answers from the environment, and only for the scheme and
  host of the address. Redirects are refused, so the credential goes nowhere else.
* **ssh**: the private key in a file of mode 0600 in a folder that is removed afterwards; no agent,
  no configuration and no other key is used. **Host keys**: those in ``/etc/ssh/ssh_known_hosts``
  count; a host that is not there is trusted when first met, its key is kept in ``known_hosts``
  beside the mirrors, and another key later is refused.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from products.credentials import OpenedCredential
from products.git.addresses import addresses_of
from products.git.commands import Access
from products.git.errors import SourceCredentialError
from products.git.urls import GitUrl, parse_url

KNOWN_HOSTS = "known_hosts"
_CONNECT_S = 15
ANYBODY = "git"
# Git's own protocol of helpers. Reference: https://git-scm.com/docs/gitcredentials
_HELPER = (
    '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" '
    '"$CONVEYOR_GIT_USERNAME" "$CONVEYOR_GIT_PASSWORD"; }; f'
)


@contextmanager
def open_access(
    url: str, credential: OpenedCredential | None, mirrors: Path
) -> Iterator[tuple[str, Access]]:
    """Yield what git is given for ``url``, and the way in, which lasts as long as the context.

    Raises SourceUrlError, SourceCredentialError for a credential of a kind that does not fit, and
    SourceUnreachableError for a host that cannot be found or is refused.
    """
    parsed = parse_url(url).fetched()
    _check_kind(url, credential)
    addresses = addresses_of(parsed)
    if parsed.scheme == "ssh":
        with tempfile.TemporaryDirectory(prefix="conveyor-git-") as folder:
            command = _ssh(parsed, addresses, Path(folder), credential, mirrors / KNOWN_HOSTS)
            variables = {"GIT_SSH_COMMAND": command, "GIT_SSH_VARIANT": "ssh"}
            yield str(parsed), Access("ssh", (), variables, _name_of(credential))
    elif parsed.scheme == "file":
        yield str(parsed), Access("file")
    else:
        yield str(parsed), _http(parsed, addresses, credential)


def kind_problem(url: str, name: str, kind: str) -> str | None:
    """Return why a credential of this kind lets nobody in at the address, None if it may.

    Raises SourceUrlError for what is no address.
    """
    parsed = parse_url(url).fetched()
    wanted = {"https": "git", "http": "git", "ssh": "ssh-key"}.get(parsed.scheme)
    if wanted is None or kind == wanted:
        return None
    return (
        f"The credential {name} is of kind {kind}, and {parsed} is read with one of kind {wanted}. "
        "Give the source another credential or another address."
    )


def _check_kind(url: str, credential: OpenedCredential | None) -> None:
    problem = kind_problem(url, credential.name, credential.kind) if credential else None
    if problem is not None:
        raise SourceCredentialError(problem)


def _name_of(credential: OpenedCredential | None) -> str:
    return credential.name if credential is not None else ""


def _http(parsed: GitUrl, addresses: list[str], credential: OpenedCredential | None) -> Access:
    settings = []
    variables = {}
    if addresses:
        bracketed = ",".join(f"[{each}]" if ":" in each else each for each in addresses)
        settings.append(
            f"http.curloptResolve={parsed.bare_host}:{parsed.effective_port}:{bracketed}"
        )
    if credential is not None:
        port = f":{parsed.port}" if parsed.port is not None else ""
        settings.append(f"credential.{parsed.scheme}://{parsed.host}{port}.helper={_HELPER}")
        variables = {
            "CONVEYOR_GIT_USERNAME": credential.username or ANYBODY,
            "CONVEYOR_GIT_PASSWORD": credential.value,
        }
    return Access(parsed.scheme, tuple(settings), variables, _name_of(credential))


def _ssh(
    parsed: GitUrl,
    addresses: list[str],
    folder: Path,
    credential: OpenedCredential | None,
    known_hosts: Path,
) -> str:
    # It tells which hosts are read, and lies where jobs of other users may pass.
    known_hosts.touch(mode=0o600)
    known_hosts.chmod(0o600)
    key = "none"
    if credential is not None:
        path = folder / "key"
        path.touch(mode=0o600)
        path.write_text(credential.value, encoding="utf-8")
        key = str(path)
    alias = f"[{parsed.bare_host}]:{parsed.port}" if parsed.port else parsed.bare_host
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": str(_CONNECT_S),
        "ServerAliveInterval": "10",
        "ServerAliveCountMax": "3",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "IdentityFile": key,
        "PreferredAuthentications": "publickey",
        "StrictHostKeyChecking": "accept-new",
        "UserKnownHostsFile": str(known_hosts),
        "HostKeyAlias": alias,
        "UpdateHostKeys": "no",
        "ForwardAgent": "no",
        "ClearAllForwardings": "yes",
        "PermitLocalCommand": "no",
        "ControlMaster": "no",
        "ControlPath": "none",
        "LogLevel": "ERROR",
    }
    if addresses:
        options["HostName"] = addresses[0]
    words = ["ssh", "-F", "none"]
    for name, value in options.items():
        words += ["-o", f"{name}={_quoted(value)}" if name.endswith("File") else f"{name}={value}"]
    return shlex.join(words)


def _quoted(path: str) -> str:
    """Return a path as ssh's configuration takes it, which would split it at blanks."""
    escaped = path.replace("%", "%%")
    return f'"{escaped}"' if escaped != "none" else escaped
