"""What the documents list is what the code has."""

from __future__ import annotations

import argparse
import re
import tomllib
from itertools import chain

import pytest
from django.conf import settings
from django.core.management import load_command_class
from django.core.management.base import BaseCommand

from conveyor_site.duties import lanes
from products.models import OutboxRow
from runs.states import AttemptState, BeltRunState, JobRunState, Reason
from tests.api.world import api_routes
from tests.architecture.error_codes import GROUND, GROUNDS, error_classes, with_table
from tests.architecture.state_diagram import with_diagrams
from tests.architecture.tree import APPS, ROOT, document, modules, name_of

#: The words of the field; each has one meaning and an entry.
WORDS = [
    *("product", "source", "credential", "delivery", "event", "trigger", "belt", "job"),
    *("definition", "belt run", "job run", "attempt", "fleet", "queue", "runner", "claim"),
    *("lease", "heartbeat", "input", "output", "artifact", "log chunk", "upstream"),
    *("downstream", "edge", "cause"),
]
#: Words that other systems have for the same, and ours are used instead.
OTHERS = re.compile(r"\b(pipelines?|workflows?|canceled|canceling)\b", re.IGNORECASE)
API_CODE = re.compile(r"""(?:body\(\s*|, )["']([a-z]+[.-][a-z-]+)["']""")


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


def test_the_table_of_error_codes_is_made_of_the_errors() -> None:
    text = document("docs/http-api.md")
    assert "| `run.already-finished` | 409 |" in text
    assert with_table(text) == text, "Write it: python -m tests.architecture.error_codes"


def test_every_error_class_has_a_code_and_a_sentence_of_its_own() -> None:
    classes = error_classes()
    assert [each.name for each in classes if not each.meaning] == []
    children = [each for each in classes if each.base in GROUNDS - {GROUND}]
    assert [each.name for each in children if each.code is None] == []


def test_every_code_of_a_refused_request_is_explained() -> None:
    codes = set(API_CODE.findall((ROOT / "conveyor_site/api_errors.py").read_text()))
    assert len(codes) > 10
    listed = table(document("docs/http-api.md"), "## Errors")
    assert sorted(codes - set(listed)) == []


def test_every_address_of_the_api_is_listed() -> None:
    text = document("docs/http-api.md")
    routes = [route.removeprefix("api/v1/") for route in api_routes()]
    paths = [re.sub(r"<\w+:(\w+)>", r"{\1}", route).replace("{pk}", "{id}") for route in routes]
    assert len(paths) > 20
    listed = text.replace("`/api/v1/", "`")
    assert [path for path in paths if f"`{path}`" not in listed] == []


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


def test_every_variable_that_is_explained_is_read() -> None:
    section = document("docs/running-it.md").split("\n## Settings\n")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `(CONVEYOR_[A-Z_]+)` \|", section, re.MULTILINE)
    assert len(listed) > 10
    code = (ROOT / "conveyor_site/settings.py").read_text(encoding="utf-8")
    assert [name for name in listed if f'"{name}"' not in code] == []


def test_every_variable_of_a_job_is_explained() -> None:
    named = re.compile(r'"(CONVEYOR(?:_[A-Z]+)?|[A-Z]+(?:_[A-Z]+)*)":')
    names = set(named.findall((ROOT / "runners/executor/environment.py").read_text()))
    facts = (ROOT / "runners/assignment.py").read_text().split("def _facts", 1)[1].split("def ")[0]
    names |= {f"CONVEYOR_{fact}" for fact in named.findall(facts)}
    assert {"CI", "HOME", "CONVEYOR_OUTPUT", "CONVEYOR_COMMIT"} <= names
    text = document("docs/running-it.md")
    assert sorted(name for name in names if f"`{name}`" not in text) == []


def commands() -> list[tuple[str, str]]:
    """Return the commands of ours: (app, name)."""
    return [
        (path.relative_to(ROOT).parts[0], path.stem)
        for path in modules(*APPS)
        if path.parent.name == "commands" and path.stem != "__init__"
    ]


def test_every_command_is_explained() -> None:
    names = {name for _, name in commands()}
    text = document("README.md") + document("docs/running-it.md")
    assert "runner" in names
    assert sorted(name for name in names if f"manage.py {name}" not in text) == []


def options_of(command: BaseCommand) -> dict[str, argparse.Action]:
    actions = command.create_parser("manage.py", "command")._actions
    return {(each.option_strings or [str(each.metavar)])[-1]: each for each in actions}


@pytest.mark.parametrize(("app", "name"), commands())
def test_every_option_of_a_command_is_explained(app: str, name: str) -> None:
    found = options_of(load_command_class(app, name))
    own = found.keys() - options_of(BaseCommand()).keys()
    text = document("docs/running-it.md") + document("docs/belt-file.md")
    assert sorted(each for each in own if each not in text) == []
    assert sorted(each for each in own if not found[each].help) == []


def test_links_between_documents_lead_somewhere() -> None:
    link = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
    broken = [
        f"{name_of(path)}: {target}"
        for folder in ("*.md", "docs/**/*.md", "examples/**/*.md")
        for path in ROOT.glob(folder)
        for target in link.findall(path.read_text(encoding="utf-8"))
        if not (path.parent / target).exists()
    ]
    assert broken == []


def test_every_lint_rule_that_is_off_has_its_reason() -> None:
    settings = tomllib.loads(document("pyproject.toml"))["tool"]["ruff"]["lint"]
    off = {*settings["ignore"], *chain.from_iterable(settings["per-file-ignores"].values())}
    text = document("CONTRIBUTING.md")
    assert sorted(rule for rule in off if rule not in text) == []


def test_every_module_that_a_document_names_is_there() -> None:
    named = re.compile(r"`((?:conveyor_site|runners|runs|belts|products|tests|docs)/[\w./]+)`")
    missing = [
        f"{name_of(path)}: {target}"
        for folder in ("*.md", "docs/**/*.md")
        for path in ROOT.glob(folder)
        for target in named.findall(path.read_text(encoding="utf-8"))
        if not (ROOT / target).exists()
    ]
    assert missing == []


def test_every_function_that_a_document_names_is_there() -> None:
    named = re.findall(r"`([\w/]+\.py)`: `(\w+)`", document("ARCHITECTURE.md"))
    assert len(named) > 10
    missing = [
        f"{path}: {name}"
        for path, name in named
        if not re.search(rf"^(?:def|class) {name}\b", document(path), re.MULTILINE)
    ]
    assert missing == []


def test_every_duty_and_every_kind_of_outbox_row_is_explained() -> None:
    text = document("ARCHITECTURE.md")
    duties = {duty.name for lane in lanes(settings.CONVEYOR_TIMES).values() for duty in lane}
    assert sorted(name for name in duties if f"`{name}`" not in text) == []
    listed = re.findall(r"^\| (\w+) \|", text, re.MULTILINE)
    assert sorted(set(OutboxRow.Kind.values) - set(listed)) == []


def test_the_readme_has_the_promise_in_its_exact_words() -> None:
    words = " ".join(document("README.md").split())
    assert (
        "However often a message is delivered or lost, each attempt of a job is started at most "
        "once, after its start was committed. A job has one attempt unless its author asked for "
        "retries; an attempt that never started is replaced and is not a second run. No two "
        "attempts of a job are alive at one instant (as long as the runner's kernel runs our "
        "supervisor; dead-man timers use CLOCK_BOOTTIME). Every accepted job reaches one final "
        "state in bounded time. A runner lost after the start ends the attempt as errored "
        "(runner-lost); running it again is the author's choice."
    ) in words
