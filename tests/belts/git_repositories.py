"""Real git repositories for tests of imports."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}


def git(folder: Path, *arguments: str) -> str:
    """Return what git prints."""
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=_ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


class Repository:
    """A bare repository and a checkout of it, both below one folder."""

    def __init__(self, folder: Path, name: str = "thing") -> None:
        self.bare = folder / f"{name}.git"
        self.work = folder / name
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        git(folder, "clone", "--quiet", str(self.bare), str(self.work))
        git(self.work, "checkout", "--quiet", "-B", "main")

    def commit(self, text: str | None, *, branch: str = "main", path: str = ".conveyor.yml") -> str:
        """Push a commit whose file has this text (none: without the file); return its id."""
        git(self.work, "checkout", "--quiet", "-B", branch)
        if text is None:
            (self.work / path).unlink(missing_ok=True)
        else:
            (self.work / path).write_text(text)
        git(self.work, "add", "--all")
        git(self.work, "commit", "--quiet", "--allow-empty", "-m", "Change")
        git(self.work, "push", "--quiet", "origin", branch)
        return git(self.work, "rev-parse", "HEAD")
