"""Private words and clumsy phrases in names, comments and docstrings, by module.

``python -m tests.architecture.words`` writes ``not_plain.txt`` anew: the modules that still have
some. The list may only shrink; ``python -m tests.architecture.words MODULE...`` shows the hits.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from pathlib import Path

from tests.architecture.tree import APPS, ROOT, modules, name_of, tree_of

LIST = ROOT / "tests" / "architecture" / "not_plain.txt"
#: Parts of names that are household metaphors or say nothing.
_NAMES = {
    "bell", "doorbell", "crew", "errand", "patience", "sight", "sights", "haste", "aside", "bury",
    "heart", "house", "told", "heard", "deaf", "hung", "workbench", "switchboard", "dismiss",
    "insist", "kept", "keeping", "errands", "nobody", "somebody",
}  # fmt: skip
_PHRASES = re.compile(
    r"\b(?:"
    r"so (?:many|long|often|much|large|few)(?! (?:as|that))"
    r"|what (?:there is|is there|came of|comes of|became of|becomes of|it is told|was told)"
    r"|that which|of whom|whose \w+ it is|is at it|at the most|as it were|lets? go of|goes on"
    r"|(?:is|are|was|were|be) told|tells? (?:of|about|whether|how|what|who|which)"
    r"|hears? of|knows? of|nobody|somebody|anew|has not got|to be had|not any more"
    r"|no (?:one|other)'s"
    r")\b",
    re.IGNORECASE,
)


def private_words(path: Path) -> list[str]:
    """Return each hit of a module as ``line: words``."""
    found = [f"1: module name {path.stem}"] if _is_private(path.stem) else []
    for node in ast.walk(tree_of(path)):
        name = getattr(node, "name", None) or getattr(node, "arg", None)
        if isinstance(name, str) and not isinstance(node, ast.alias) and _is_private(name):
            found.append(f"{getattr(node, 'lineno', 1)}: name {name}")
    text = path.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        is_prose = token.type == tokenize.COMMENT or token.string.startswith(('"""', 'r"""'))
        for hit in _PHRASES.finditer(token.string) if is_prose else ():
            line = token.start[0] + token.string[: hit.start()].count("\n")
            found.append(f"{line}: {hit[0]!r}")
    return found


def _is_private(name: str) -> bool:
    parts = re.findall(r"[A-Z]?[a-z]+", name)
    return any(part.lower() in _NAMES for part in parts)


def not_plain() -> list[str]:
    """Return the names of the modules with private words."""
    return [name_of(path) for path in modules(*APPS) if private_words(path)]


def duplicate_classes() -> dict[str, list[str]]:
    """Return the public class names that stand in several modules, with the modules."""
    places: dict[str, list[str]] = {}
    for path in modules(*APPS):
        for node in tree_of(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(name_of(path))
    return {name: found for name, found in places.items() if len(found) > 1}


if __name__ == "__main__":
    if sys.argv[1:]:
        for argument in sys.argv[1:]:
            for hit in private_words(ROOT / argument):
                sys.stdout.write(f"{argument}:{hit}\n")
    else:
        LIST.write_text("\n".join(not_plain()) + "\n", encoding="utf-8")
