"""What a sandboxed job sees of the machine, as arguments of bubblewrap."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from runners.executor.shapes import Isolation

# Folders of the operating system; the rest of the machine is not there at all.
_SYSTEM = ("/usr", "/etc", "/opt")
# Symlinks into /usr on merged systems, folders on others.
_ROOTS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_RESOLVER = "/etc/resolv.conf"
# Bubblewrap's own processes above the job's: the one outside, and number 1 inside.
WRAPPERS = 2
# The sandbox's own, which lie in the attempt's folder or in memory.
_TMP = "/tmp"  # noqa: S108 - no file is made there by its name
_VAR_TMP = "/var/tmp"  # noqa: S108 - as above
_FLAGS = (
    "--unshare-user",
    "--unshare-pid",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-cgroup-try",
    "--hostname",
    "conveyor-job",
    "--die-with-parent",
    "--new-session",
)


def bubblewrap_argv(
    isolation: Isolation, argv: Sequence[str], *, own: str, folder: str, readable: Iterable[str]
) -> tuple[str, ...]:
    """Return the command that runs ``argv`` in ``folder`` inside a sandbox.

    ``own`` is the attempt's folder, writable; ``readable`` are further paths, read-only. The
    network is the machine's. The environment is the caller's: bubblewrap must be started with the
    job's, since process 1 of the sandbox shows it.
    """
    if isolation.bubblewrap is None:
        raise ValueError("this isolation has no bubblewrap")
    arguments = [isolation.bubblewrap, *_FLAGS, *_system_mounts()]
    arguments += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run", "--dir", _VAR_TMP]
    arguments += ["--bind", f"{own}{_TMP}", _TMP]
    for path in (*isolation.shown, *readable):
        arguments += ["--ro-bind", path, path]
    for path in isolation.hidden:
        arguments += _hide(path)
    arguments += ["--bind", own, own, "--chdir", folder, "--"]
    return (*arguments, *argv)


def _system_mounts() -> list[str]:
    mounts: list[str] = []
    for path in (*_SYSTEM, *_ROOTS):
        if Path(path).is_symlink():
            mounts += ["--symlink", str(Path(path).readlink()), path]
        elif Path(path).is_dir():
            mounts += ["--ro-bind", path, path]
    resolver = os.path.realpath(_RESOLVER)
    if resolver != _RESOLVER:
        mounts += ["--ro-bind-try", resolver, resolver]
    return mounts


def _hide(path: str) -> list[str]:
    if not path.startswith(tuple(f"{root}/" for root in _SYSTEM)):
        return []
    return ["--tmpfs", path] if Path(path).is_dir() else ["--ro-bind", "/dev/null", path]


def shown_for(path: str) -> tuple[str, ...]:
    """Return the folders outside the system's own that a job PATH needs, read-only.

    For ``.../venv/bin`` that is ``.../venv`` with the Python that it was made from, but never a
    whole home folder: ``~/bin`` stays ``~/bin``. Entries that are relative or are not there are
    left out.
    """
    found: list[str] = []
    for entry in path.split(":"):
        folder = Path(entry)
        if not folder.is_absolute() or not folder.is_dir():
            continue
        for needed in (folder, (folder / "python3").resolve().parent):
            chosen = _with_prefix(needed)
            if not _is_system(chosen) and chosen not in found:
                found.append(chosen)
    return tuple(found)


def _with_prefix(folder: Path) -> str:
    prefix = folder.parent if folder.name in ("bin", "sbin", "shims") else folder
    whole = prefix in (Path.home(), Path("/"), Path("/home"), Path("/root"))
    return str(folder if whole else prefix)


def _is_system(path: str) -> bool:
    return f"{path}/".startswith(tuple(f"{root}/" for root in (*_SYSTEM, *_ROOTS)))
