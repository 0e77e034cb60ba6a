"""Limits of size, and names that say nothing."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

from tests.architecture.tree import ALL, APPS, ROOT, modules, name_of, nodes

FILE_LINES = 400
FUNCTION_LINES = 90
#: Files of these names become a heap of everything.
HEAPS = {"utils.py", "helpers.py", "common.py", "services.py", "constants.py", "misc.py"}
REGISTRIES = re.compile(
    r"pypi\.org|pythonhosted\.org|npmjs\.(org|com)|docker\.io|ghcr\.io|quay\.io|index-url"
    r"|deb\.debian\.org|rubygems\.org",
)
OWN_PATHS = re.compile(r"(?<![\w.])/(?:root|work/main|home/\w+)/")


def test_files_are_short() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in modules(*ALL)}
    assert {name: lines for name, lines in lengths.items() if lines > FILE_LINES} == {}


def test_functions_are_short() -> None:
    long = {
        f"{name_of(path)}:{node.lineno} {node.name}": lines
        for path in modules(*ALL)
        for node in nodes(path)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
    }
    assert long == {}


def test_no_file_is_a_heap() -> None:
    assert [name_of(path) for path in modules(*ALL) if path.name in HEAPS] == []


def test_nothing_is_left_to_do() -> None:
    words = re.compile(r"#.*\b(TODO|FIXME|XXX|HACK)\b")
    found = [name_of(path) for path in modules(*APPS) if words.search(path.read_text())]
    assert found == []


def test_nothing_names_a_package_registry_or_a_folder_of_one_machine() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    found = []
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if not path.is_file() or path == Path(__file__):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{name}: {hit[0]}" for hit in REGISTRIES.finditer(text)]
        found += [f"{name}: {hit[0]}" for hit in OWN_PATHS.finditer(text)]
    assert found == []
