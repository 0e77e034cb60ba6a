"""The one place that runs git.

Its environment is built from nothing, and its only configuration is ``hardened.gitconfig``: no
hooks, no helpers, no prompts, no redirects, and no transport but the one that the address names.
Git's own words go no further than ``GitFailedError``; ``failures`` makes sentences of them.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from products.git.errors import GitMissingError

_CONFIG = Path(__file__).with_name("hardened.gitconfig")
_PASSED_ON = (
    "https_proxy",
    "HTTPS_PROXY",
    "http_proxy",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
)
#: Again on the command line, where no repository's own configuration can overrule it.
_INSISTED = (
    "protocol.allow=never",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "safe.directory=*",
    "credential.helper=",
)
#: A write that would make a file larger fails with a word, in git and in all that it starts.
_LIMITED = 'trap "" XFSZ; ulimit -f "$1"; shift; exec "$@"'
_BLOCK = 512
_PIECE = 65536
_MOST_OF_STDERR = 65536
_DYING_S = 5.0


class GitFailedError(Exception):
    """Git said no; ``stderr`` is what it wrote, in English.

    ``credential`` is the name of the one that it had, empty for none.
    """

    def __init__(self, stderr: str, *, timed_out: bool = False, credential: str = "") -> None:
        super().__init__(stderr)
        self.stderr = stderr
        self.timed_out = timed_out
        self.credential = credential


class OutputTooLongError(Exception):
    """Git wrote more than it was allowed to."""


@dataclass(frozen=True, slots=True)
class Access:
    """How git may reach one address: see ``access.open_access``.

    ``protocol`` is the only transport allowed, empty for none; ``settings`` are further words of
    ``git -c``; ``variables`` may hold secrets and are seen by git and its children alone;
    ``credential`` is the name of the one that is used, for people.
    """

    protocol: str = ""
    settings: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    credential: str = ""


NO_ACCESS = Access()


def run_git(
    arguments: Sequence[str],
    *,
    cwd: Path | None = None,
    access: Access = NO_ACCESS,
    timeout_s: float = 30.0,
    limit_bytes: int = 1024 * 1024,
    file_bytes: int | None = None,
    held: Sequence[int] = (),
) -> bytes:
    """Return what git writes.

    What it makes may be read by everybody who reaches its folder, whatever the umask is; no file of
    that is larger than ``file_bytes``. It holds the descriptors ``held`` as long as it lives, which
    may be longer than its caller. Raises GitFailedError if it fails or takes longer than
    ``timeout_s``, OutputTooLongError, and GitMissingError.
    """
    command = [_git(), *_settings(access), *arguments]
    if file_bytes is not None:
        blocks = max(0, file_bytes) // _BLOCK
        command = ["/bin/sh", "-c", _LIMITED, "git", str(blocks), *command]
    try:
        process = subprocess.Popen(
            command,
            cwd=cwd or "/",
            env=_environment(access),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            umask=0o022,
            pass_fds=held,
        )
    except FileNotFoundError as error:
        raise GitFailedError(f"fatal: not a git repository: {cwd}") from error
    with process:
        try:
            written, complaint = _read(process, time.monotonic() + timeout_s, limit_bytes)
        except BaseException:
            _kill_tree(process)
            raise
    if process.returncode != 0:
        complaint_text = complaint.decode(errors="replace")
        raise GitFailedError(complaint_text, credential=access.credential)
    return written


def _git() -> str:
    found = shutil.which("git", path=os.environ.get("PATH", os.defpath))
    if found is None:
        raise GitMissingError
    return found


def _settings(access: Access) -> list[str]:
    words = [*_INSISTED, *access.settings]
    if access.protocol:
        words.append(f"protocol.{access.protocol}.allow=always")
    return [part for word in words for part in ("-c", word)]


def _environment(access: Access) -> dict[str, str]:
    passed_on = {name: os.environ[name] for name in _PASSED_ON if os.environ.get(name)}
    return {
        **passed_on,
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "LANGUAGE": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(_CONFIG),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "GIT_ALLOW_PROTOCOL": access.protocol or "none",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        **access.variables,
    }


def _read(process: subprocess.Popen[bytes], until: float, limit: int) -> tuple[bytes, bytes]:
    """Return what the process writes to its two streams until it ends."""
    assert process.stdout is not None  # noqa: S101  # both were asked for
    assert process.stderr is not None  # noqa: S101
    written, complaint = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, written)
        selector.register(process.stderr, selectors.EVENT_READ, complaint)
        while selector.get_map():
            for key, _ in _ready(selector, until, complaint):
                piece = os.read(key.fd, _PIECE)
                if not piece:
                    selector.unregister(key.fileobj)
                key.data.extend(piece)
            if len(written) > limit:
                raise OutputTooLongError
            del complaint[_MOST_OF_STDERR:]
    _wait(process, until, complaint)
    return bytes(written), bytes(complaint)


def _ready(
    selector: selectors.BaseSelector, until: float, complaint: bytearray
) -> list[tuple[selectors.SelectorKey, int]]:
    remaining = until - time.monotonic()
    ready = selector.select(remaining) if remaining > 0 else []
    if not ready:
        raise GitFailedError(complaint.decode(errors="replace"), timed_out=True)
    return ready


def _wait(process: subprocess.Popen[bytes], until: float, complaint: bytearray) -> None:
    try:
        process.wait(max(until - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired as error:
        raise GitFailedError(complaint.decode(errors="replace"), timed_out=True) from error


def _kill_tree(process: subprocess.Popen[bytes]) -> None:
    """Kill git and its transports.

    They stay in the caller's process group, so that whatever ends that ends them too; a group of
    their own would outlive a caller that is killed.
    """
    for pid in [process.pid, *_below(process.pid)]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _close(process.stdout)
    _close(process.stderr)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_DYING_S)


def _close(stream: IO[bytes] | None) -> None:
    if stream is not None:
        stream.close()


def _below(pid: int) -> list[int]:
    """Return the ids of all processes below one; empty where the kernel does not tell."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    children = [int(word) for word in text.split()]
    return [*children, *(pid for child in children for pid in _below(child))]
