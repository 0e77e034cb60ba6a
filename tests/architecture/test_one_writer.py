"""Only one module writes states, so that every move is guarded, recorded and in the table."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.tree import APPS, ROOT, modules, name_of, nodes

WRITER = "runs/transitions.py"
#: Puts a state that it has just read on a copy of a remembered row, and stores no row.
READER = "runs/release.py"
#: Compiles what Django makes of its models, and executes it.
COMPILER = "products/statements.py"
#: Its verbs: only the writer may use them, but for rows that have no state.
COMPILED = {"update_where", "insert_rows"}
STATELESS = {"Output", "OutboxRow"}
SAVES = {"save", "asave", "bulk_create", "bulk_update"}
WRITES = {
    "update",
    "create",
    "get_or_create",
    "update_or_create",
    "JobRun",
    "BeltRun",
    "Attempt",
    "setattr",
}


def writes_state(node: ast.AST) -> bool:
    """Return whether a state is assigned, updated, inserted or updated in bulk here."""
    if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return any(
            isinstance(part, ast.Attribute) and part.attr == "state"
            for target in targets
            for part in ast.walk(target)
        )
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    constants = {
        part.value
        for argument in node.args
        for part in ast.walk(argument)
        if isinstance(part, ast.Constant)
    }
    if name in COMPILED:
        model = node.args[0] if node.args else None
        return not (isinstance(model, ast.Name) and model.id in STATELESS)
    if name == "bulk_update" or (name == "setattr" and node.args):
        return "state" in constants
    return name in WRITES and any(word.arg == "state" for word in node.keywords)


@pytest.mark.parametrize(
    "line",
    [
        "run.state = new",
        "run.state, run.reason = new, why",
        "JobRun.objects.filter(id=1).update(state=new)",
        "Attempt(state=new)",
        "BeltRun.objects.create(state=new)",
        "JobRun.objects.bulk_update(rows, ['state'])",
        "setattr(run, 'state', new)",
        "update_where(JobRun, {'id': id}, {'state': new})",
        "insert_rows(Attempt, rows)",
    ],
)
def test_a_write_is_seen(line: str) -> None:
    assert any(writes_state(node) for node in ast.walk(ast.parse(line)))


def test_only_one_module_writes_states() -> None:
    writers = {
        name_of(path)
        for path in modules(*APPS)
        if any(writes_state(node) for node in nodes(path))
        # A scanner of shell text, not the engine.
        and not name_of(path).startswith("belts/spec/")
    }
    assert writers - {READER} == {WRITER}
    called = {node.attr for node in nodes(ROOT / READER) if isinstance(node, ast.Attribute)}
    assert called & SAVES == set()


def test_the_engine_writes_no_sql_of_its_own() -> None:
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in modules("runs", "belts", "products", "runners")
        for node in nodes(path)
        if name_of(path) != COMPILER
        and isinstance(node, ast.Attribute)
        and node.attr in {"cursor", "raw", "RawSQL", "extra"}
    ]
    assert found == []
