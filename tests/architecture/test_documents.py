"""What the documents list is what the code has."""

from __future__ import annotations

import ast
import re

import pytest

from belts.spec.codes import CODES
from runs.states import AttemptState, BeltRunState, JobRunState, Reason
from tests.architecture.state_diagram import with_diagrams
from tests.architecture.tree import APPS, ROOT, document, modules, name_of, nodes

#: The words of the field; each has one meaning and an entry.
WORDS = (
    "product, source, credential, delivery, event, trigger, belt, job, definition, belt run, "
    "job run, attempt, fleet, queue, runner, claim, lease, heartbeat, input, output, artifact, "
    "log chunk, upstream, downstream, edge, cause"
).split(", ")
#: Words that other systems have for the same, and ours are used instead.
OTHERS = re.compile(r"\b(pipelines?|workflows?|canceled|canceling)\b", re.IGNORECASE)
API_CODE = re.compile(r"""(?:body\(\s*|, )["']([a-z]+[.-][a-z-]+)["']""")


def error_codes() -> set[str]:
    """Return the codes of all error classes, and those that the API gives to others' errors."""
    codes = {
        str(line.value.value)
        for path in modules(*APPS)
        for node in nodes(path)
        if isinstance(node, ast.ClassDef)
        for line in node.body
        if isinstance(line, ast.Assign)
        and [getattr(target, "id", "") for target in line.targets] == ["code"]
        and isinstance(line.value, ast.Constant)
    }
    return codes | set(API_CODE.findall((ROOT / "conveyor_site/api_errors.py").read_text()))


def table(text: str, heading: str) -> list[str]:
    """Return the first column of the table below a heading."""
    section = text.split(f"\n{heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\| `?([^`|]+?)`? \|", section, re.MULTILINE)[1:]


def test_the_diagrams_of_states_are_those_of_the_tables() -> None:
    text = document("docs/states.md")
    assert "stateDiagram-v2" in text
    assert with_diagrams(text) == text, "Write them: python -m tests.architecture.state_diagram"


@pytest.mark.parametrize("state", [*JobRunState, *AttemptState, *BeltRunState])
def test_every_state_is_explained(state: str) -> None:
    assert re.search(rf"^\| {state} \|", document("docs/states.md"), re.MULTILINE) or (
        f"*{state}*" in document("docs/states.md")
    )


def test_every_reason_is_explained() -> None:
    listed = [word for word in table(document("docs/states.md"), "## Reasons") if word != "---"]
    assert sorted(listed) == sorted(Reason.values)


def test_every_error_code_is_explained() -> None:
    listed = table(document("docs/http-api.md"), "## Error codes")
    assert sorted(listed) == sorted(set(listed))
    assert error_codes() - set(CODES) - set(listed) == set(), "not in docs/http-api.md"
    assert set(listed) - error_codes() - {"---"} == set(), "no error of that code is left"


def test_every_word_of_the_field_is_in_the_glossary() -> None:
    entries = re.findall(r"^\*\*(.+?)\*\*", document("docs/glossary.md"), re.MULTILINE)
    assert [word for word in WORDS if word not in entries] == []


def test_code_uses_the_words_of_the_glossary() -> None:
    found = [
        f"{name_of(path)}: {hit[0]}"
        for path in modules(*APPS)
        for hit in OTHERS.finditer(path.read_text())
    ]
    assert found == []


def test_every_variable_of_the_environment_is_explained() -> None:
    read = re.compile(r"""environ(?:\.get\(|\[)\s*["'](CONVEYOR_[A-Z_]+)["']""")
    names = {
        name for path in modules(*APPS) for name in read.findall(path.read_text(encoding="utf-8"))
    }
    assert names
    text = document("docs/running-it.md")
    assert sorted(name for name in names if f"`{name}`" not in text) == []


def test_every_command_is_explained() -> None:
    commands = {
        path.stem
        for path in modules(*APPS)
        if path.parent.name == "commands" and path.stem != "__init__"
    }
    text = document("README.md") + document("docs/running-it.md")
    assert "runner" in commands
    assert sorted(name for name in commands if f"manage.py {name}" not in text) == []


def test_links_between_documents_lead_somewhere() -> None:
    broken = []
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            if not (path.parent / target).exists():
                broken.append(f"{name_of(path)}: {target}")
    assert broken == []
