"""The table of error codes in docs/http-api.md, made of the error classes and their docstrings.

``python -m tests.architecture.error_codes`` writes it into the document.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.architecture.tree import APPS, ROOT, modules, nodes

DOCUMENT = ROOT / "docs" / "http-api.md"
#: What all errors come from, and the two kinds of them.
GROUND = "ConveyorError"
GROUNDS = {GROUND, "UserError", "PlatformError"}
_BLOCK = re.compile(r"<!-- error codes -->\n.*?\n<!-- end -->", re.DOTALL)


@dataclass(frozen=True)
class ErrorClass:
    """An error class as its file has it; None is what it inherits."""

    name: str
    base: str
    code: str | None
    http_status: int | None
    meaning: str


def error_classes() -> list[ErrorClass]:
    """Return all classes of the project whose name ends in Error."""
    return [
        _read(node)
        for path in modules(*APPS)
        for node in nodes(path)
        if isinstance(node, ast.ClassDef) and node.name.endswith("Error")
    ]


def table() -> str:
    """Return the table: each code with its status and what its classes say of themselves."""
    classes = error_classes()
    rows: dict[str, tuple[int, list[str]]] = {}
    for each in classes:
        line = list(_line(each, classes))
        if each.code is not None and line[-1].name == GROUND and each.name not in GROUNDS:
            status = next(one.http_status for one in line if one.http_status is not None)
            rows.setdefault(each.code, (status, []))[1].append(each.meaning)
    lines = ["| code | status | meaning |", "|---|---|---|"]
    lines += [
        f"| `{code}` | {status} | {' '.join(meanings)} |"
        for code, (status, meanings) in sorted(rows.items())
    ]
    return "\n".join(lines)


def with_table(text: str) -> str:
    """Return the document with the present table."""
    return _BLOCK.sub(lambda _: f"<!-- error codes -->\n{table()}\n<!-- end -->", text)


def _read(node: ast.ClassDef) -> ErrorClass:
    values = {
        target.id: line.value.value
        for line in node.body
        if isinstance(line, (ast.Assign, ast.AnnAssign)) and isinstance(line.value, ast.Constant)
        for target in (line.targets if isinstance(line, ast.Assign) else [line.target])
        if isinstance(target, ast.Name)
    }
    code, status = values.get("code"), values.get("http_status")
    meaning = (ast.get_docstring(node) or "").partition("\n\n")[0]
    return ErrorClass(
        name=node.name,
        base=getattr(node.bases[0], "id", "") if node.bases else "",
        code=code if isinstance(code, str) else None,
        http_status=status if isinstance(status, int) else None,
        meaning=meaning.replace("\n", " ").replace("``", "`"),
    )


def _line(one: ErrorClass, classes: list[ErrorClass]) -> Iterator[ErrorClass]:
    """Yield the class and those that it comes from."""
    by_name = {each.name: each for each in classes}
    line: ErrorClass | None = one
    while line is not None:
        yield line
        line = by_name.get(line.base)


if __name__ == "__main__":
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
