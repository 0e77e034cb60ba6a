"""What holds for any text and any plain data."""

from __future__ import annotations

import json
import re
import string
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from belts.spec import BeltFile, ParseResult, digest, parse_belt_text, parse_document, render_text
from belts.spec.graph import CycleError, find_cycles, topological_order
from belts.spec.problems import Problem
from belts.spec.references import PATTERN, Reference, rewrite_script, scan_script
from belts.spec.schema import json_schema

settings.register_profile("spec", deadline=None, max_examples=150, database=None)
settings.load_profile("spec")

FRAGMENTS = [
    "product: p\n",
    "belts:\n",
    "  - name: b\n",
    "    jobs:\n",
    "      - name: j\n",
    "triggers:\n",
    "        commands: make\n",
    "        inputs: source\n",
    "        outputs: [X]\n",
    "  - manual:\n",
    "    belts: b\n",
    "${j.X}",
    "${",
    "}",
    "'",
    '"',
    "|\n",
    ">\n",
    "[",
    "]",
    "{",
    ",",
    ": ",
    "\t",
    "#",
    "&a ",
    "*a",
    "!!x ",
    "---\n",
    "? ",
    "- ",
    "\n",
    "%YAML 1.1\n",
    "\\",
    "\ufeff",
    "\0",
    "é",
    "<<: ",
]
SHELL_FRAGMENTS = [
    "echo ", "${a.B}", "${a.b.c.D}", "'", '"', "\\", "\n", " ", "$(", "((", "`", ")", "# ", "<<E\n",
    "<<'E'\n", "E\n", "${x:-", "${x#", "}", "$'", "case a in a) ", ";; esac", "$((", "))", "$", ";",
]  # fmt: skip


def is_sound(result: ParseResult) -> None:
    """Exactly one of a file and an error; the file survives all its forms."""
    assert (result.file is None) == any(each.is_error for each in result.problems)
    json.dumps([each.to_document() for each in result.problems]).encode()
    if result.file is None:
        return
    stored = json.loads(json.dumps(result.file.to_document()))
    again = BeltFile.from_document(stored)
    assert again == result.file
    assert digest(again) == digest(result.file)
    assert parse_document(result.file.to_yaml_document()).file == result.file


@given(st.text() | st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join))
def test_any_text_is_a_file_or_has_problems(text: str) -> None:
    result = parse_belt_text(text)
    is_sound(result)
    shown = render_text(result.problems, text, "f.yml")
    assert shown.replace("\n", "").isprintable()


@given(st.binary())
def test_any_bytes_are_a_file_or_have_problems(data: bytes) -> None:
    is_sound(parse_belt_text(data))


names = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=4)
scalars = (
    st.none() | st.booleans() | st.integers(-9, 400) | st.sampled_from([0.5, 1.5, 20.5]) | names
    | st.sampled_from(
        ["source", "p", "b", "j", "p.b.j", "String", "X", "X=1", "push", "success", "bash", "10m",
         "last", "failure", "* * * * *", "UTC", "https://h/r", "a b", "", "${j.X}", "a/b", "1h1"]
    )
)  # fmt: skip
keys = st.sampled_from(
    ["product", "description", "source", "triggers", "belts", "name", "jobs", "env", "defaults",
     "downstreams", "inputs", "from", "build", "branch", "queue", "credentials", "shell",
     "commands", "working-directory", "pre-run", "post-run", "outputs", "timeout",
     "post-run-timeout", "retry",
     "max", "on", "exit-codes", "delay", "backoff", "value", "type", "String", "downstream-product",
     "scm-event", "upstream-build", "schedule", "manual", "repo", "branches", "cron", "timezone",
     "upstream-product", "upstream-belt", "X", "A_B", "nope"]
)  # fmt: skip
plain = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)

WHOLE: dict[str, Any] = {
    "product": "p",
    "description": "text",
    "source": "https://host/repo",
    "triggers": [
        {"scm-event": None, "repo": "git://h/r", "type": ["push"], "branches": "main",
         "belts": "b"},
        {"upstream-build": {"upstream-product": "q", "upstream-belt": "c", "on": "always"},
         "belts": ["b"]},
        {"schedule": {"cron": "1 2 * * *", "timezone": "UTC", "belts": "b"}},
        {"manual": None, "belts": "b"},
    ],
    "belts": [
        {
            "name": "b",
            "env": {"A": "1"},
            "defaults": {"queue": "gpu", "retry": 1, "timeout": "10m"},
            "downstreams": [{"downstream-product": "r", "belts": ["c"], "on": ["failure"]}],
            "jobs": [
                {
                    "name": "j",
                    "inputs": ["source", {"from": "q.c", "build": "last"}],
                    "commands": ["make", "true"],
                    "outputs": ["X", {"String": "Y=1"}, {"name": "Z", "value": "2"}],
                    "env": {"B": "${j2.X}"},
                    "retry": {"max": 1, "on": "timeout", "exit-codes": [3], "backoff": 1.5},
                },
                {"name": "j2", "commands": "make", "outputs": ["X"], "credentials": "c",
                 "shell": "sh", "working-directory": "src", "post-run-timeout": 5},
            ],
        }
    ],
}  # fmt: skip


def replaced(node: Any, path: list[int], change: Any) -> Any:
    """Return ``node`` with something below it replaced, added or removed."""
    if not path or not isinstance(node, dict | list) or not node:
        return change[1]
    if isinstance(node, list):
        index = path[0] % len(node)
        return [replaced(each, path[1:], change) if n == index else each
                for n, each in enumerate(node)]  # fmt: skip
    name = list(node)[path[0] % len(node)]
    if len(path) == 1 and change[0] == "remove":
        return {key: each for key, each in node.items() if key != name}
    if len(path) == 1 and change[0] != "replace":
        return {**node, change[0]: change[1]}
    return {**node, name: replaced(node[name], path[1:], change)}


mutants = st.builds(
    replaced,
    st.just(WHOLE),
    st.lists(st.integers(0, 5), min_size=1, max_size=7),
    st.tuples(st.sampled_from(["replace", "remove"]) | keys, plain),
)


@given(plain | mutants)
def test_any_plain_data_is_a_file_or_has_problems(data: Any) -> None:
    is_sound(parse_document(data))


# What the form of a file cannot say, and the schema therefore does not.
MEANING = re.compile(
    r"value\.(duplicate|bad-duration)|name\..*|product\..*|belt\..*|job\..*|output\..*|input\..*"
    r"|downstream\..*|reference\..*|trigger\.(unknown.*|bad.*)"
)
VALIDATOR = jsonschema_rs.Draft7Validator(json_schema())


def agrees(data: Any) -> None:
    wrong = [each for each in parse_document(data).problems if not MEANING.fullmatch(each.code)]
    assert bool(wrong) == (not VALIDATOR.is_valid(data)), (data, wrong)


def test_the_schema_accepts_a_file_with_every_kind_of_key() -> None:
    assert parse_document(WHOLE).problems == ()
    agrees(WHOLE)


@settings(max_examples=1200)
@given(mutants)
def test_schema_and_parser_agree_on_the_form_of_a_file(data: Any) -> None:
    agrees(data)


@given(st.lists(st.sampled_from(SHELL_FRAGMENTS), max_size=14).map("".join))
@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_a_rewritten_script_has_no_reference_that_a_shell_would_read(
    shell: str, script: str
) -> None:
    found = scan_script(script, shell)
    for each in found:
        assert script[each.start : each.end] == each.reference.text
    if any(each.placement not in {"live", "comment"} for each in found):
        return
    seen: list[Reference] = []

    def variable(reference: Reference) -> str:
        seen.append(reference)
        return "CONVEYOR_REF_1"

    text = rewrite_script(script, shell, variable)
    assert len(seen) == sum(each.placement == "live" for each in found)
    assert all(each.placement == "comment" for each in scan_script(text, shell))
    assert text.count("${CONVEYOR_REF_1}") == len(seen)
    kept = len(PATTERN.findall(script)) - len(seen)
    assert len(PATTERN.findall(text)) == kept


@given(st.dictionaries(names, st.lists(names, max_size=3), max_size=8))
def test_there_is_an_order_exactly_when_there_is_no_circle(needs: dict[str, list[str]]) -> None:
    cycles = find_cycles(needs)
    for cycle in cycles:
        assert all(
            following in needs[name]
            for name, following in zip(cycle, (*cycle[1:], cycle[0]), strict=True)
        )
    if cycles:
        with pytest.raises(CycleError):
            topological_order(needs)
        return
    order = topological_order(needs)
    assert sorted(order) == sorted(needs)
    for name in order:
        for needed in set(needs[name]) & needs.keys():
            assert order.index(needed) < order.index(name)


def test_problems_survive_their_plain_form() -> None:
    for problem in parse_belt_text("product: a.b\nbelts: c\n").problems:
        assert Problem.from_document(json.loads(json.dumps(problem.to_document()))) == problem
