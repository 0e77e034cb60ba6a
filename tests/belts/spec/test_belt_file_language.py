"""What the keys mean: the forms that are allowed, defaults, and texts as written."""

from __future__ import annotations

from typing import Any

import pytest

from belts.spec import BeltFile, digest, parse_belt_text, parse_document
from belts.spec.durations import format_duration, parse_duration
from belts.spec.shapes import (
    BeltSpec,
    DownstreamSpec,
    InputSpec,
    JobSpec,
    OutputSpec,
    RetrySpec,
    TriggerSpec,
)


def parsed(text: str) -> BeltFile:
    result = parse_belt_text(text)
    assert result.problems == ()
    assert result.file is not None
    return result.file


def job(**keys: Any) -> JobSpec:
    entry = {"name": "j", "commands": "make", **keys}
    result = parse_document({"product": "p", "belts": [{"name": "b", "jobs": [entry]}]})
    assert result.problems == ()
    assert result.file is not None
    return result.file.belts[0].jobs[0]


def trigger(entry: dict[str, Any]) -> TriggerSpec:
    belts = [{"name": "b", "jobs": [{"name": "j", "commands": "make"}]}]
    result = parse_document({"product": "p", "triggers": [entry], "belts": belts})
    assert result.problems == ()
    assert result.file is not None
    return result.file.triggers[0]


def test_a_trigger_may_have_its_keys_beside_or_below_its_marker() -> None:
    keys = {"type": "push", "branches": "main", "belts": "b"}
    beside = trigger({"scm-event": None, **keys})
    below = trigger({"scm-event": keys})
    mixed = trigger({"scm-event": {"type": ["push"]}, "branches": ["main"], "belts": ["b"]})
    assert beside == below == mixed
    assert beside == TriggerSpec("scm-event", ("b",), types=("push",), branches=("main",))


def test_every_kind_of_trigger_has_its_fields() -> None:
    upstream = {"upstream-product": "q", "upstream-belt": "c", "belts": "b"}
    assert trigger({"upstream-build": None, **upstream}).on == ("success",)
    always = trigger({"upstream-build": {**upstream, "on": "always", "build": "last"}})
    assert (always.on, always.build) == (("cancelled", "failure", "success"), "last")
    assert trigger({"manual": None, "belts": "b"}) == TriggerSpec("manual", ("b",))
    schedule = trigger({"schedule": {"cron": "30 3 * * MON-FRI"}, "belts": "b"})
    assert (schedule.cron, schedule.timezone) == ("30 3 * * MON-FRI", "UTC")


def test_nothing_counts_as_absent_and_a_file_needs_only_its_product() -> None:
    assert parsed("product: p\ntriggers:\nbelts:\n") == BeltFile("p")
    assert parsed("product: p\n") == BeltFile("p")
    assert job(inputs=None, env=None, retry=None, timeout=None) == job()


def test_inputs_are_one_word_or_a_list_and_may_choose_a_run() -> None:
    assert job(inputs="source").inputs == (InputSpec("source"),)
    chosen = job(
        inputs=[
            "q",
            {"from": "q.c", "build": "last_failure"},
            {"from": "q.c.k", "build": 7, "branch": "main"},
        ]
    )
    assert chosen.inputs == (
        InputSpec("product", "q"),
        InputSpec("product", "q", "c", build="last_failure"),
        InputSpec("product", "q", "c", "k", build=7, branch="main"),
    )


def test_an_input_or_reference_to_a_job_of_the_belt_is_a_need() -> None:
    file = parsed(
        """
product: p
belts:
  - name: b
    jobs:
      - {name: a, commands: make, outputs: [X]}
      - {name: by-input, commands: make, inputs: a}
      - {name: by-long-name, commands: make, inputs: p.b.a}
      - {name: by-script, commands: 'echo "${a.X}"'}
      - {name: by-env, commands: make, env: {V: "${p.b.a.X}"}}
      - {name: by-post-run, commands: make, post-run: 'echo ${p.a.X}'}
      - {name: by-nothing, commands: 'echo \\${a.X} # ${a.X}'}
"""
    )
    needs = {job.name: job.needs for job in file.belts[0].jobs}
    assert needs.pop("a") == needs.pop("by-nothing") == ()
    assert set(needs.values()) == {("a",)}


def test_outputs_have_short_tagged_and_long_forms() -> None:
    outputs = job(
        outputs=[
            "A",
            "B=1",
            {"String": "C"},
            {"String": "D=$D"},
            {"name": "E"},
            {"name": "F", "type": "String", "value": '"a b"'},
            {"String": "G="},
        ]
    ).outputs
    assert outputs == (
        OutputSpec("A"),
        OutputSpec("B", value="1"),
        OutputSpec("C"),
        OutputSpec("D", value="$D"),
        OutputSpec("E"),
        OutputSpec("F", value='"a b"'),
        OutputSpec("G", value=""),
    )


@pytest.mark.parametrize(
    "value",
    [
        "$A",
        '"two words"',
        "'two words'",
        "$(date +%s)",
        "a\\ b",
        "#1",
        "${A:-x y}",
        "`date`",
        "x=y",
    ],
)
def test_an_output_may_be_any_one_word_of_the_shell(value: str) -> None:
    assert job(outputs=[f"A={value}"]).outputs[0].value == value


def test_a_list_of_commands_is_joined_by_newlines() -> None:
    assert job(commands=["set -u", "make\n", "true"]).commands == "set -u\nmake\ntrue"
    assert job(commands="a\r\nb\r\n").commands == "a\nb"


def test_retry_is_a_number_or_a_rule() -> None:
    assert job().retry == RetrySpec()
    assert job(retry=3).retry == RetrySpec(3, ("failure", "setup"))
    rule = {
        "max": 2,
        "on": ["timeout", "runner-lost"],
        "exit-codes": [75, 2],
        "delay": "1m",
        "backoff": 2,
    }
    assert job(retry=rule).retry == RetrySpec(2, ("runner-lost", "timeout"), (2, 75), 60, 2.0)


def test_defaults_and_env_of_a_belt_reach_its_jobs_and_lose_against_theirs() -> None:
    file = parsed(
        """
product: p
belts:
  - name: b
    env: {A: belt, B: belt, C: belt}
    defaults:
      env: {B: defaults, C: defaults}
      queue: gpu
      shell: sh
      timeout: 1h30m
      post-run-timeout: 90
      retry: 2
      working-directory: src
      credentials: [token]
    jobs:
      - {name: one, commands: make}
      - name: two
        commands: make
        env: {C: job}
        queue: docker
        credentials: []
        retry: 0
"""
    )
    one, two = file.belts[0].jobs
    assert one.env == {"A": "belt", "B": "defaults", "C": "defaults"}
    assert (one.queue, one.shell, one.timeout_s, one.post_run_timeout_s) == ("gpu", "sh", 5400, 90)
    assert (one.retry.max, one.working_directory, one.credentials) == (2, "src", ("token",))
    assert two.env == {"A": "belt", "B": "defaults", "C": "job"}
    assert (two.queue, two.credentials, two.retry) == ("docker", (), RetrySpec())
    rows = file.to_yaml_document()["belts"][0]["jobs"]
    assert rows[0]["env"] == {"B": "defaults", "C": "defaults"}
    assert parse_document(file.to_yaml_document()).file == file


def test_words_keep_their_spelling_where_text_is_wanted() -> None:
    file = parsed(
        """
product: 1
belts:
  - name: on
    jobs:
      - name: 012
        commands: true
        env: {A: yes, B: 1.0, C: 012, D: 1e3, E: on, F: 0x10, G: 2024-01-01, H: '', I: 'null'}
"""
    )
    assert file.product == "1"
    assert file.belts[0].name == "on"
    spec = file.belts[0].jobs[0]
    assert (spec.name, spec.commands) == ("012", "true")
    assert list(spec.env.values()) == [
        "yes", "1.0", "012", "1e3", "on", "0x10", "2024-01-01", "", "null",
    ]  # fmt: skip


def test_the_key_on_is_a_word_and_no_boolean() -> None:
    file = parsed(
        """
product: p
belts:
  - name: b
    jobs: [{name: j, commands: make}]
    downstreams:
      - downstream-product: q
        belts: [z, c]
        on: [failure, success]
"""
    )
    assert file.belts[0].downstreams == (DownstreamSpec("q", ("z", "c"), ("failure", "success")),)


def test_lists_whose_order_means_nothing_do_not_change_the_digest() -> None:
    one = {"credentials": ["a", "b"], "retry": {"max": 1, "on": ["setup", "timeout"]}}
    two = {"credentials": ["b", "a"], "retry": {"max": 1, "on": ["timeout", "setup"]}}
    assert digest(of(one)) == digest(of(two))
    assert digest(of({"env": {"A": "1", "B": "2"}})) == digest(of({"env": {"B": "2", "A": "1"}}))
    assert digest(of({"env": {"A": "1"}})) != digest(of({"env": {"A": "2"}}))


def of(keys: dict[str, Any]) -> BeltFile:
    return BeltFile("p", belts=(BeltSpec("b", jobs=(job(**keys),)),))


def test_a_file_and_rows_that_say_the_same_have_one_digest() -> None:
    text = parsed(
        "# a comment\nbelts:\n- jobs:\n  - commands: |\n      make\n    name: j\n  name: b\n"
        "product: p\n"
    )
    rows = parse_document(
        {"product": "p", "belts": [{"name": "b", "jobs": [{"name": "j", "commands": "make\r\n"}]}]}
    ).file
    assert rows is not None
    assert digest(text) == digest(rows)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("90", 90), ("30s", 30), ("10m", 600), ("1h30m", 5400), ("1d", 86400), ("1m1s", 61)],
)
def test_a_duration_is_seconds(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1", "1.5h", "1 h", "30m1h", "1w", "٣s", "1h30"])
def test_what_is_no_duration_is_none(text: str) -> None:
    assert parse_duration(text) is None
