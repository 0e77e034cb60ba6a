"""The diagrams of docs/states.md, generated from the tables of the engine.

``python -m tests.architecture.state_diagram`` writes them into the document.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from runs.states import ATTEMPT_MOVES, BELT_MOVES, MOVES
from tests.architecture.tree import ROOT

DOCUMENT = ROOT / "docs" / "states.md"
Table = Mapping[Any, frozenset[Any]]
TABLES: dict[str, Table] = {
    "job run": MOVES,
    "attempt": ATTEMPT_MOVES,
    "belt run": BELT_MOVES,
}


def diagram(moves: Table) -> str:
    """Return a table of moves as a Mermaid diagram, in the order of the states."""
    order = list(moves)
    lines = ["stateDiagram-v2"]
    reached = {new for targets in moves.values() for new in targets}
    lines += [f"    [*] --> {state}" for state in order if state not in reached]
    for old in order:
        lines += [f"    {old} --> {new}" for new in order if new in moves[old]]
        lines += [] if moves[old] else [f"    {old} --> [*]"]
    return "\n".join(lines)


def with_diagrams(text: str) -> str:
    """Return the document with the present diagrams."""
    for name, moves in TABLES.items():
        block = f"<!-- {name} -->\n```mermaid\n{diagram(moves)}\n```"
        text = re.sub(rf"<!-- {name} -->\n```mermaid\n.*?```", block, text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(with_diagrams(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
