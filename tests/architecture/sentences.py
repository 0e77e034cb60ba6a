"""Every sentence that the code can show to people, with where it stands.

``python -m tests.architecture.sentences`` prints the table for review: error classes, problems,
help texts of commands and forms. A value in a sentence is shown as ``{name}``.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.tree import APPS, modules, name_of, tree_of

_KEYWORDS = ("message", "hint", "help", "help_text", "description")
_CALLS = ("Problem", "CommandError", "ValidationError", "Why", "AttemptEnd", "Http404")
#: What joins a further clause to a sentence.
_JOINTS = re.compile(
    r";|:\s(?=\w+ \w+ \w+ \w+)|,? \b(?:because|although|though|unless|until|while|whereas"
    r"|which|who|whom|whose|since|if|when|where|so that|so|but)\b",
    re.IGNORECASE,
)
MOST_CLAUSES = 2


@dataclass(frozen=True)
class Sentence:
    """A sentence of ``owner``: an error class, a called function or a keyword."""

    path: str
    line: int
    owner: str
    text: str

    @property
    def clauses(self) -> int:
        """Return an upper bound of its clauses, from the words that join them."""
        bare = re.sub(r"[“\"'`(].*?[”\"'`)]", "", self.text)
        return 1 + len(_JOINTS.findall(bare))


def sentences() -> list[Sentence]:
    """Return all sentences, in the order of the files."""
    return [each for path in modules(*APPS) for each in _of_module(path)]


def _of_module(path: Path) -> Iterator[Sentence]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ClassDef) and node.name.endswith("Error"):
            for call in ast.walk(node):
                if isinstance(call, ast.Call) and _name(call) == "__init__":
                    yield from _split(path, node.name, call.args)
        elif isinstance(node, ast.Call):
            yield from _of_call(path, node)


def _of_call(path: Path, node: ast.Call) -> Iterator[Sentence]:
    name = _name(node)
    if name.endswith("Error") or name in _CALLS:
        yield from _split(path, name, node.args)
    for keyword in node.keywords:
        if keyword.arg in _KEYWORDS:
            yield from _split(path, f"{name}({keyword.arg})", [keyword.value])


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _split(path: Path, owner: str, values: list[ast.expr]) -> Iterator[Sentence]:
    for value in values:
        text = _text(value)
        for part in re.split(r"(?<=[.?!]) (?=[A-Z“`{])", text):
            if " " in part.strip() and part.rstrip().endswith((".", "?", "!")):
                yield Sentence(name_of(path), value.lineno, owner, " ".join(part.split()))


def _text(value: ast.expr) -> str:
    """Return the text of a literal, with the source of each value in braces; else nothing."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    if isinstance(value, ast.JoinedStr):
        return "".join(
            f"{{{ast.unparse(each.value)}}}"
            if isinstance(each, ast.FormattedValue)
            else str(getattr(each, "value", ""))
            for each in value.values
        )
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        return _text(value.left) + _text(value.right)
    if isinstance(value, ast.IfExp):
        return f"{_text(value.body)} {_text(value.orelse)}"
    return ""


if __name__ == "__main__":
    for each in sentences():
        sys.stdout.write(f"{each.path}:{each.line} | {each.owner} | {each.clauses} | {each.text}\n")
