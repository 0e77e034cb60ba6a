"""Hints for what people write who know other systems, or who do not expect what YAML reads."""

from __future__ import annotations

import pytest

from belts.spec import Problem, parse_belt_text

HEAD = "product: p\nbelts:\n  - name: b\n    jobs:\n      - name: j\n"
QUOTE = "Quote it, or write the commands as one text after `|`."
ALL_JOB_KEYS = (
    "The keys of a job are commands, credentials, downstreams, env, inputs, name, outputs,"
    " post-run, post-run-timeout, pre-run, queue, retry, shell, timeout, working-directory."
)


def job(*lines: str) -> str:
    return HEAD + "".join(f"        {line}\n" for line in lines)


def told(text: str, code: str) -> Problem:
    (problem,) = [each for each in parse_belt_text(text).problems if each.code == code]
    return problem


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("echo status: ok", "a mapping"),
        ("{a}", "a mapping"),
        ("? x", "a mapping"),
        ("[ -f x ]", "a list"),
        ("~", "no value"),
        ("null", "no value"),
    ],
)
@pytest.mark.parametrize("key", ["commands", "pre-run", "post-run"])
def test_command_that_yaml_takes_for_something_else_gets_a_hint(
    key: str, command: str, found: str
) -> None:
    text = job("commands: x").replace("commands: x", f"{key}:\n          - {command}")
    problem = told(text, "value.wrong-type")
    assert problem.message == f"Expected a text with commands, found {found}."
    assert (problem.hint, problem.line) == (QUOTE, 7)


@pytest.mark.parametrize("command", ["5", "1.5", "true", "yes", "on", "0x1F", "2026-01-01"])
def test_command_that_is_a_word_of_yaml_stays_as_written(command: str) -> None:
    file = parse_belt_text(job("commands:", f"  - {command}")).file
    assert file is not None
    assert file.belts[0].jobs[0].commands == command


@pytest.mark.parametrize(("command", "code"), [("*all", "file.alias"), ("&all", "file.alias"),
                                               ("! -f x", "file.tag")])  # fmt: skip
def test_command_that_is_an_alias_or_tag_gets_a_hint(command: str, code: str) -> None:
    problem = told(job("commands:", f"  - {command}"), code)
    assert QUOTE[1:] in problem.hint


def test_command_missing_after_a_dash_gets_a_hint() -> None:
    problem = told(job("commands:", "  -", "  - make"), "value.wrong-type")
    assert problem.hint == "Write a command after the dash, or remove the dash."


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("matrix", "There is no `matrix` yet. Write a job for each value."),
        ("image", "There is no `image` yet. A job uses the programs of its runner. Choose the"
         " runner with `queue`."),
        ("container", "There is no `container` yet. A job uses the programs of its runner. Choose"
         " the runner with `queue`."),
        ("cache", "There is no `cache` yet. Each job begins with an empty workspace."),
        ("services", "There is no `services` yet. Start the service in `pre-run`."),
        ("when", "There is no `when` yet. Write an `if` of the shell into `commands`, or a trigger"
         " for each case."),
        ("if", "There is no `if` yet. Write an `if` of the shell into `commands`, or a trigger for"
         " each case."),
        ("artifacts", "There is no `artifacts` yet. `outputs` hands on texts of at most 32 KiB."),
        ("needs", "Write the jobs that this one needs under `inputs`, such as inputs: [build]."),
        ("depends_on", "Write the jobs that this one needs under `inputs`, such as inputs:"
         " [build]."),
        ("script", "Write what the job does under `commands`."),
        ("steps", "Write what the job does under `commands`. `inputs: source` checks out the"
         " repository."),
        ("uses", "Conveyor has no actions. Write what the job does under `commands`. `inputs:"
         " source` checks out the repository."),
        ("runs-on", "Choose the runners of a job with `queue`, such as queue: linux."),
        ("environment", "Write variables under `env`. There is no other `environment` yet."),
        ("allow_failure", "There is no `allow_failure` yet. Write `|| true` after a command that"
         " may fail."),
        ("stage", "There is no `stage` yet. All jobs of a belt start together, except those that"
         " need others. Write the jobs that this one needs under `inputs`, such as inputs:"
         " [build]."),
        ("unheard-of", ALL_JOB_KEYS),
    ],
)  # fmt: skip
def test_key_of_another_system_gets_what_conveyor_has_instead(key: str, hint: str) -> None:
    problem = told(job("commands: make", f"{key}: x"), "key.unknown")
    assert (problem.message, problem.hint) == (f'A job has no key "{key}".', hint)
    assert problem.line == 7


GITHUB = """\
name: CI
on:
  push:
    branches: [main]
jobs:
  build:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: make
"""


def test_file_of_github_gets_the_shape_of_triggers_and_jobs() -> None:
    hints = {each.path: each.hint for each in parse_belt_text(GITHUB).problems}
    assert hints == {
        "": "The name of the product.",
        "name": "The keys of the file are belts, description, product, source, triggers.",
        "on": "What starts belts is written under `triggers`:\n"
        "triggers:\n  - scm-event:\n      type: push\n      belts: tests",
        "jobs": "Jobs belong to a belt:\n"
        "belts:\n  - name: tests\n    jobs:\n      - name: unit\n        commands: make test",
    }
    assert all(hint.count("\n") <= 5 for hint in hints.values())


def test_job_at_the_top_of_the_file_gets_the_shape_of_a_belt() -> None:
    problem = told("product: p\nunit-tests:\n  script: [make]\n", "key.unknown")
    assert problem.hint.startswith("Jobs belong to a belt:\nbelts:\n")


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        (HEAD.replace("      - name: j\n", "      j: {commands: make}\n"),
         "jobs:\n  - name: unit\n    commands: make test"),
        ("product: p\nbelts: {b: {jobs: x}}\n",
         "belts:\n  - name: tests\n    jobs:\n      - name: unit\n        commands: make test"),
        ("product: p\ntriggers: {push: x}\n",
         "triggers:\n  - scm-event:\n      type: push\n      belts: tests"),
        (job("commands: x", "outputs: {V: x}"), "outputs:\n  - String: VERSION"),
        (job("commands: x", "downstreams: {downstream-product: q, belts: b}"),
         "downstreams:\n  - downstream-product: image\n    belts: build"),
    ],
)  # fmt: skip
def test_mapping_in_place_of_a_list_gets_the_shape(text: str, shape: str) -> None:
    problem = told(text, "value.wrong-type")
    assert problem.message == "Expected a list, found a mapping."
    assert problem.hint == f"Write a list:\n{shape}"


def test_shapes_of_the_hints_are_files_without_problems() -> None:
    shapes = [each.hint.partition("\n")[2] for each in parse_belt_text(GITHUB).problems]
    written = "product: p\n" + "\n".join(shape for shape in shapes if shape)
    assert parse_belt_text(written).problems == ()
