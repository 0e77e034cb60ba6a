"""What a sandboxed job sees of the machine: the system's folders, tools on its PATH, its own."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from runners.executor.shapes import Isolation
from runners.executor.workspace import FOLDERS
from runners.supervisor.mounts import Mount
from runners.supervisor.namespaces import ACCOUNT_FILES

# Folders of the operating system; the rest of the machine is not there at all.
_SYSTEM = ("/usr", "/etc", "/opt")
# Symlinks into /usr on merged systems, folders on others.
_ROOTS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_RESOLVER = "/etc/resolv.conf"
_SETTINGS = "/etc"
# Bubblewrap's own processes above the job's: the one outside, and number 1 inside.
WRAPPERS = 2
#: Where a sandbox shows the folders of its attempt: a path that is short enough for sockets in it,
#: whatever the work folder and the runner are called.
SEEN = "/conveyor-job"
# The sandbox's own, which lie in the attempt's folder or in memory.
TMP = "/tmp"  # noqa: S108 - no file is made there by its name
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
_OPTIONS = {
    "read-only": "--ro-bind",
    "writable": "--bind",
    "link": "--symlink",
    "folder": "--dir",
    "empty": "--tmpfs",
    "nothing": "--ro-bind",
    "proc": "--proc",
    "dev": "--dev",
}
# What programs need beside the folder that they lie in. The rest of ~/.local or ~/.cargo is data
# of its owner, often secret.
_BESIDE_PROGRAMS = ("bin", "sbin", "lib", "lib64", "libexec", "include")
_VIRTUAL_ENVIRONMENT = (*_BESIDE_PROGRAMS, "share", "pyvenv.cfg")
_SHALLOWEST_PREFIX = 3  # "/", the folder of a disk, the folder in it


def view(
    isolation: Isolation,
    *,
    work_dir: str,
    own: str,
    accounts: str = "",
    readable: Iterable[str] = (),
) -> tuple[Mount, ...]:
    """Return what a sandbox of the attempt whose folder is ``own`` shows.

    ``accounts`` is the folder of files that lie over the machine's accounts, if there is one;
    ``readable`` are further paths, read-only. Of ``own`` only the folders within are shown, each
    by itself: whoever could write there could put a symlink in the place of one, which the next
    stage of the attempt would show instead.
    """
    mounts = list(_system())
    if accounts:
        names = ACCOUNT_FILES
        mounts += [
            Mount("read-only", f"{_SETTINGS}/{each}", f"{accounts}/{each}") for each in names
        ]
    mounts += [Mount("proc", "/proc"), Mount("dev", "/dev"), Mount("empty", "/run")]
    mounts += _resolver()
    mounts += [Mount("folder", _VAR_TMP), Mount("writable", TMP, f"{own}{TMP}")]
    mounts += [Mount("read-only", path, path) for path in isolation.shown]
    mounts += list(_hidden((work_dir, *isolation.hidden), mounts))
    mounts += [Mount("read-only", path, path) for path in readable]
    mounts += [Mount("writable", f"{SEEN}/{name}", f"{own}/{name}") for name in FOLDERS]
    return tuple(mounts)


def bubblewrap_argv(
    program: str, mounts: Iterable[Mount], argv: Sequence[str], *, folder: str
) -> tuple[str, ...]:
    """Return the command that runs ``argv`` in ``folder`` inside a sandbox of those mounts.

    The network is the machine's. The environment is the caller's: bubblewrap must be started with
    the job's, since process 1 of the sandbox shows it.
    """
    arguments = [program, *_FLAGS]
    for mount in mounts:
        source = "/dev/null" if mount.kind == "nothing" else mount.source
        arguments += [each for each in (_OPTIONS[mount.kind], source, mount.target) if each]
    return (*arguments, "--chdir", folder, "--", *argv)


def _system() -> Iterator[Mount]:
    for path in (*_SYSTEM, *_ROOTS):
        if Path(path).is_symlink():
            yield Mount("link", path, str(Path(path).readlink()))
        elif Path(path).is_dir():
            yield Mount("read-only", path, path)


def _resolver() -> list[Mount]:
    """Return where the names of hosts are looked up, if that is not in /etc."""
    real = os.path.realpath(_RESOLVER)
    beside = real != _RESOLVER and Path(real).is_file() and not _is_within(real, _SYSTEM)
    return [Mount("read-only", real, real)] if beside else []


def _hidden(paths: Iterable[str], shown: Sequence[Mount]) -> Iterator[Mount]:
    """Yield what covers those of the paths that lie in something that is shown read-only."""
    places = [(os.path.realpath(each.source), each) for each in shown if each.kind == "read-only"]
    for path in paths:
        real = os.path.realpath(path)
        for source, mount in places:
            if _is_within(real, (source,)):
                target = mount.target + real.removeprefix(source)
                yield Mount("empty" if Path(real).is_dir() else "nothing", target)


def private_settings(folder: str = _SETTINGS) -> tuple[str, ...]:
    """Return what this user may read below ``folder`` and not everybody may.

    A sandboxed job of this user could read it as well.
    """
    found: list[str] = []
    for place, folders, files in os.walk(folder):
        private = [each for each in (*folders, *files) if _is_private(f"{place}/{each}")]
        folders[:] = [each for each in folders if each not in private]
        found += [f"{place}/{each}" for each in private]
    return tuple(found)


def _is_private(path: str) -> bool:
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    wanted = stat.S_IROTH | stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH
    is_plain = stat.S_ISDIR(mode) or stat.S_ISREG(mode)
    return is_plain and mode & wanted != wanted and os.access(path, os.R_OK)


def shown_for(path: str) -> tuple[str, ...]:
    """Return the paths outside the system's own that a job PATH needs, read-only.

    For ``.../venv/bin`` these are the parts of the virtual environment, with the Python that it
    was made from; else the folder that ``bin`` lies in, but never a whole home, disk or folder of
    settings: of ``~/.local/bin`` they are that folder and the libraries beside it. Entries that are
    relative or are not there are left out.
    """
    found: list[str] = []
    for entry in path.split(":"):
        folder = Path(entry)
        if not folder.is_absolute() or not folder.is_dir():
            continue
        for needed in (folder, (folder / "python3").resolve().parent):
            if not os.access(needed, os.X_OK):
                # A Python of another user's, which is none for this one's jobs.
                continue
            for chosen in _needed_for(needed):
                _add(found, chosen)
    return tuple(found)


def _add(found: list[str], path: str) -> None:
    """Add a path unless it is shown already; what a link in something shown leads to, as itself."""
    if _is_within(path, found):
        path = os.path.realpath(path)
    if not _is_within(path, (*_SYSTEM, *_ROOTS, *found)):
        found.append(path)


def _needed_for(folder: Path) -> list[str]:
    prefix = folder.parent
    if folder.name not in ("bin", "sbin", "shims"):
        return [str(folder)]
    if (prefix / "pyvenv.cfg").is_file():
        return _parts(prefix, _VIRTUAL_ENVIRONMENT)
    # "~" for a user without an account, as in containers.
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path's own raises then
    if home.is_relative_to(prefix) or len(prefix.parts) < _SHALLOWEST_PREFIX:
        return [str(folder)]
    if prefix.parent == home and prefix.name.startswith(".") and folder.name != "shims":
        return _parts(prefix, _BESIDE_PROGRAMS)
    return [str(prefix)]


def _parts(prefix: Path, names: Iterable[str]) -> list[str]:
    return [str(prefix / name) for name in names if (prefix / name).exists()]


def _is_within(path: str, folders: Iterable[str]) -> bool:
    return f"{path}/".startswith(tuple(f"{each}/" for each in folders))
