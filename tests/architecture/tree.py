"""The project's own files, read as text and as syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = ("conveyor_site", "runners", "runs", "belts", "products")
ALL = (*APPS, "tests", "bench", "examples")


def modules(*folders: str) -> list[Path]:
    """Return the Python files below the folders, migrations left out."""
    found = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return [path for path in found if path.parent.name != "migrations"]


def name_of(path: Path) -> str:
    """Return a path as it is told to people."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def nodes(path: Path) -> Iterator[ast.AST]:
    """Yield everything in a file's syntax tree."""
    return ast.walk(tree_of(path))


def document(name: str) -> str:
    """Return the text of a document of the project."""
    return (ROOT / name).read_text(encoding="utf-8")
