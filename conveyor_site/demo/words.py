"""Texts of the demonstration in the terminal."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from conveyor_site.demo.accounts import ADMIN
from conveyor_site.demo.parts import DRAIN_S
from conveyor_site.demo.repositories import Repository
from conveyor_site.demo.site import Site

_DATA_DIR = "CONVEYOR_DATA_DIR"

CHAIN = "The chain, with the values that went in and came out:"


def welcome(site: Site, password: str | None) -> list[str]:
    """Return where the site is and how to log in; ``password`` is None if it is known already."""
    login = [
        f"  log in as      {ADMIN}",
        f"  password       {password}   (shown this once)",
    ]
    known = ["  log in as      the administrator that was made on the first start"]
    return [
        "",
        f"Conveyor is ready:  {site.url}",
        "",
        *(login if password else known),
        f"  new password   {_manage('changepassword', ADMIN)}",
        f"  logs           {_short(site.logs)}",
        "",
    ]


def _manage(*arguments: str) -> str:
    """Return a command for this site as it is typed."""
    given = os.environ.get(_DATA_DIR)
    place = [f"{_DATA_DIR}={shlex.quote(given)}"] if given else []
    return " ".join([*place, _short(Path(sys.executable)), "manage.py", *arguments])


def what_to_do(upstream: Repository) -> list[str]:
    """Return how to make a change and see it travel."""
    return [
        "There are three products, each with its own git repository: a web service, an image that",
        "contains it, and an environment that runs the image. A merge into the first one leads to",
        "runs of all three. Merge a change of your own:",
        "",
        f"  cd {_short(upstream.work)}",
        "  git switch -c change/good-day",
        "  sed -i 's/Hola/Buenos dias/' service/greetings.py && echo 1.2.0 > VERSION",
        "  git commit -am 'Say good day in Spanish'",
        "  git switch main && git merge change/good-day && git push",
        "",
        f"Ctrl-C ends the site. Running jobs then have {DRAIN_S:g} s to end.",
        "",
    ]


def ending(running: int) -> list[str]:
    """Return what happens to the jobs that run when the site is asked to end."""
    if not running:
        return ["", "Conveyor is ending."]
    return [
        "",
        f"Conveyor is ending. Running jobs: {running}. They have {DRAIN_S:g} s to end, then they "
        "are stopped. Press Ctrl-C again to stop them now.",
    ]


def _short(path: Path) -> str:
    """Return a path as it is typed in the present folder, if it lies below that."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
