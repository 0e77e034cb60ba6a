"""The git repositories of the demonstration: a server's and a clone to work in, for each example.

Everything is done by plain git, as a person would; nothing here calls Conveyor.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from products.errors import PlatformError

#: The examples from upstream to downstream.
NAMES = ("web-service", "image", "environment")
BRANCH = "main"
CHANGE = "change/greet-in-spanish"

_DEMO = "demo"
_NOT_COPIED = shutil.ignore_patterns("__pycache__", ".git")
_AUTHOR = {
    f"GIT_{role}_{what}": text
    for role in ("AUTHOR", "COMMITTER")
    for what, text in (("NAME", "Conveyor's demonstration"), ("EMAIL", "demo@localhost"))
}


class NoGitError(PlatformError):
    """The program git is not there."""

    code = "demo.no-git"

    def __init__(self) -> None:
        super().__init__(
            "The program git is not installed. The demonstration makes its repositories with it. "
            "Install it, for example: apt-get install git"
        )


class GitFailedError(PlatformError):
    """A git command of the demonstration failed."""

    code = "demo.git-failed"


@dataclass(frozen=True, slots=True)
class Repository:
    """One example as a repository: ``server`` is bare, ``work`` is a clone of it."""

    name: str
    server: Path
    work: Path

    def head(self) -> str:
        """Return the commit of the server's main branch."""
        return _git(self.server, "rev-parse", f"refs/heads/{BRANCH}")

    def is_untouched(self) -> bool:
        """Return whether nothing was pushed since the repository was made."""
        return _git(self.server, "rev-list", "--count", f"refs/heads/{BRANCH}") == "1"


def require_git() -> None:
    """Raise NoGitError unless git is there."""
    if shutil.which("git") is None:
        raise NoGitError


def make_repositories(folder: Path | None = None) -> tuple[Repository, ...]:
    """Return the repositories below the data folder, after making those that are not there.

    Each appears whole or not at all; one that is there is left as it is. Raises NoGitError, and
    GitFailedError with git's own words.
    """
    require_git()
    place = folder or Path(settings.CONVEYOR_DATA_DIR) / _DEMO
    found = [Repository(name, place / "server" / f"{name}.git", place / name) for name in NAMES]
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    (place / "server").mkdir(exist_ok=True)
    for repository in found:
        if not repository.server.exists():
            _make_server(repository)
        if not repository.work.exists():
            _make_clone(repository)
    return tuple(found)


def _make_server(repository: Repository) -> None:
    examples = Path(settings.BASE_DIR) / "examples"
    with tempfile.TemporaryDirectory(dir=repository.server.parent) as name:
        draft, bare = Path(name) / "draft", Path(name) / "bare"
        shutil.copytree(examples / repository.name, draft, ignore=_NOT_COPIED)
        _git(draft, "init", "--quiet", f"--initial-branch={BRANCH}")
        _git(draft, "add", "--all")
        _git(draft, "commit", "--quiet", f"--message=Begin with {repository.name}")
        _git(Path(name), "clone", "--quiet", "--bare", "draft", "bare")
        _git(bare, "remote", "remove", "origin")
        bare.rename(repository.server)


def _make_clone(repository: Repository) -> None:
    with tempfile.TemporaryDirectory(dir=repository.server.parent) as name:
        _git(Path(name), "clone", "--quiet", str(repository.server), "work")
        draft = Path(name) / "work"
        if not _has_identity():
            _git(draft, "config", "user.name", "You")
            _git(draft, "config", "user.email", "you@localhost")
        draft.rename(repository.work)


def _has_identity() -> bool:
    """Return whether git knows the name and address of who started this."""
    asked = (["git", "config", "--get", key] for key in ("user.name", "user.email"))
    return all(subprocess.run(each, capture_output=True, check=False).stdout for each in asked)


def merge_a_change(repository: Repository) -> str:
    """Make a change on a branch, merge it and push it, by plain git; return the merge's commit.

    Raises GitFailedError, also when the clone has been worked in since it was made.
    """
    work = repository.work
    _git(work, "switch", "--quiet", "--create", CHANGE)
    _replace(work / "VERSION", "1.0.0", "1.1.0")
    _replace(
        work / "service" / "greetings.py", '"en": "Hello",', '"en": "Hello",\n    "es": "Hola",'
    )
    _git(work, "commit", "--quiet", "--all", "--message=Greet in Spanish, too")
    _git(work, "switch", "--quiet", BRANCH)
    _git(work, "merge", "--quiet", "--no-ff", f"--message=Merge {CHANGE}", CHANGE)
    _git(work, "push", "--quiet", "origin", BRANCH)
    return repository.head()


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    if old not in text:
        raise GitFailedError(
            f"{path} was changed: it does not contain {old!r}. Restore it with git, or use a new "
            "CONVEYOR_DATA_DIR."
        )
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def _git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return what it printed; whoever's configuration plays no part."""
    environment = {key: text for key, text in os.environ.items() if not key.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**environment, **_AUTHOR},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise GitFailedError(
            f"git {' '.join(arguments[:2])} failed in {folder}: {done.stderr.strip()}"
        )
    return done.stdout.strip()
