"""Every problem code, with the line that it is told for."""

from __future__ import annotations

import pytest

from belts.spec import BeltFile, Problem, parse_belt_text, parse_document
from belts.spec.codes import CODES
from belts.spec.matching import no_source
from belts.spec.resolve import check

JOB = """\
product: p
belts:
  - name: b
    jobs:
      - name: j
        commands: make
"""


def job(*lines: str) -> str:
    return JOB + "".join(f"        {line}\n" for line in lines)


def trigger(*lines: str) -> str:
    return JOB + "triggers:\n  - " + "\n    ".join(lines) + "\n"


def script(*lines: str, key: str = "post-run", language: str = "bash") -> str:
    return job(f"shell: {language}", f"{key}: |", *(f"  {line}" for line in lines))


TOO_DEEP = "product: " + "[" * 60 + "]" * 60
CIRCLE = JOB + "        inputs: k\n      - name: k\n        commands: echo ${j.X}\n"

LOOP = (
    job("downstreams:", "  - downstream-product: p", "    belts: [c]")
    + "  - {name: c, jobs: [{name: k, commands: x}]}\n"
    + "triggers: [{upstream-build: {upstream-product: p, upstream-belt: c}, belts: b}]\n"
)
AROUND = (
    trigger("upstream-build:", "upstream-product: q", "upstream-belt: c", "belts: [x, b]")
    .replace("      - name: j", "      - name: j\n        downstreams: [{DOWN}]", 1)
    .replace("DOWN", "downstream-product: q, belts: c")
)

# code, text, line, a part of message or hint
IN_THE_FILE: list[tuple[str, str | bytes, int | None, str]] = [
    ("file.too-large", "#" * 300_000, None, "262,144"),
    ("file.not-utf8", b"product: p\n# \xff\n", 2, "0xff"),
    ("file.bad-character", "product: p\ndescription: \x07\n", 2, "U+0007"),
    ("file.bad-character", 'product: p\ndescription: "\\ud800"\n', 2, "half of a character"),
    ("file.syntax", "product: p\nbelts: [\n", 2, "not closed"),
    ("file.syntax", "product: p\n\tbelts:\n", 2, "tab"),
    ("file.syntax", 'product: "\\UFFFFFFFF"\n', 1, "too large"),
    ("file.too-deep", TOO_DEEP, 1, "50"),
    ("file.too-many-nodes", "product: [" + "a," * 21_000 + "]", 1, "20,000"),
    ("file.several-documents", JOB + "---\nproduct: q\n", 7, "---"),
    ("file.alias", JOB + "description: *x\n", 7, "*x"),
    ("file.alias", JOB + "description: &x text\n", 7, "&x"),
    ("file.tag", JOB + "description: !!str text\n", 7, "tag:yaml.org,2002:str"),
    ("file.duplicate-key", JOB + "product: q\n", 7, "line 1"),
    ("file.bad-key", JOB + "? [a]\n: b\n", 7, "key"),
    ("key.unknown", job("comands: x"), 7, 'Did you mean "commands"?'),
    ("key.unknown", job("post_run: x"), 7, 'Did you mean "post-run"?'),
    ("key.unknown", job("needs: x"), 7, "inputs"),
    ("key.unknown", job("downstreams:", "- downstream-product: q", "  belts: x", "  on: failure"),
     10, "at the belt"),
    ("key.missing", "product: p\nbelts:\n  - name: b\n", 3, '"jobs"'),
    ("key.missing", trigger("scm-event:", "belts: b"), 8, '"type"'),
    ("value.wrong-type", "product: p\nbelts: b\n", 2, "a list"),
    ("value.wrong-type", "product:\n", 1, "no value"),
    ("value.wrong-type", job("env:", "  A:"), 8, "Write ''"),
    ("value.wrong-type", job("retry: '3'"), 7, "whole number"),
    ("value.not-allowed", job("shell: bsh"), 7, 'Did you mean "bash"?'),
    ("value.not-allowed", job("retry: 11"), 7, "0 to 10"),
    ("value.not-allowed", job("outputs:", "  - string: X"), 8, 'Did you mean "String"?'),
    ("value.malformed", "product: a.b\n", 1, "a name"),
    ("value.malformed", job("timeout: soon"), 7, "1h30m"),
    ("value.malformed", job("outputs:", "  - {A: x, B: y}"), 8, "one type and one name"),
    ("value.too-long", f"product: {'p' * 101}\n", 1, "101"),
    ("value.too-many", job("outputs: [" + ", ".join(f"V{n}" for n in range(65)) + "]"), 7, "64"),
    ("value.empty", "", None, "product"),
    ("value.empty", "# nothing\n", None, "empty"),
    ("value.empty", "product: p\nbelts:\n  - name: b\n    jobs: []\n", 4, "an entry"),
    ("value.duplicate", job("credentials: [a, a]"), 7, "twice"),
    ("value.duplicate", job("inputs: [source, source]"), 7, "twice"),
    ("value.bad-duration", job("timeout: 25h"), 7, "24h"),
    ("name.duplicate", JOB + "      - name: j\n        commands: make\n", 7, '"j"'),
    ("name.duplicate", job("outputs: [X, String: X]"), 7, '"X"'),
    ("name.reserved", "product: source\n", 1, "repository"),
    ("name.reserved", job("env:", "  LD_PRELOAD: x"), 8, "LD_PRELOAD"),
    ("name.reserved", job("outputs: [PATH]"), 7, "PATH"),
    ("name.reserved", job("credentials: git-token"), 7, "GIT_TOKEN"),
    ("trigger.kind", trigger("scm-evnt:", "type: push", "belts: b"), 8, "scm-event"),
    ("trigger.kind", trigger("manual:", "schedule:", "belts: b"), 8, "several"),
    ("trigger.key-twice", trigger("manual: {belts: b}", "belts: b"), 8, "beside"),
    ("trigger.unknown-belt", trigger("manual:", "belts: [b, bb]"), 9, 'Did you mean "b"?'),
    ("trigger.never-fires", trigger("scm-event:", "type: pull-request", "belts: b"), 9,
     "does not receive pull-request events yet. This trigger never fires."),
    ("trigger.never-fires", trigger("scm-event:", "type: [push, pull-request]", "belts: b"), 9,
     "This trigger fires for its other types only."),
    ("trigger.bad-cron", trigger("schedule:", "cron: 61 * * * *", "belts: b"), 9, "minute"),
    ("trigger.bad-cron", trigger("schedule:", "cron: '@daily'", "belts: b"), 9, "five fields"),
    ("trigger.bad-timezone",
     trigger("schedule:", "cron: 1 * * * *", "timezone: Mars/One", "belts: b"), 10, "Mars/One"),
    ("belt.cycle", CIRCLE, 5, "j needs k needs j"),
    ("belt.cycle", job("inputs: j"), 5, "cannot wait for itself"),
    ("belt.loop", job("downstreams:", "- {downstream-product: p, belts: b}"), 8, "starts itself"),
    ("belt.loop", LOOP, 9, "p.b starts p.c starts p.b"),
    ("downstream.loop", AROUND, 6, "p.b starts q.c starts p.b"),
    ("job.bad-directory", job("working-directory: a/../.."), 7, "workspace"),
    ("job.bad-directory", job("working-directory: /etc"), 7, "/etc"),
    ("job.no-commands", JOB.replace("make", "' '"), 6, "empty"),
    ("output.not-a-word", job("outputs:", "  - String: X=a b"), 8, "Quote it"),
    ("output.not-a-word", job("outputs:", "  - String: X=a;rm"), 8, "one word"),
    ("output.not-a-word", job("outputs:", "  - String: 'X=\"a'"), 8, "one word"),
    ("output.needs-shell", job("shell: python", "outputs: [X=a]"), 8, "$CONVEYOR_OUTPUT"),
    ("input.unknown-belt", job("inputs: p.bb"), 7, 'Did you mean "b"?'),
    ("input.unknown-belt", job("inputs: p.j"), 7, "p.b.j"),
    ("input.unknown-job", job("inputs: p.b.jj"), 7, 'Did you mean "j"?'),
    ("input.own-belt", job("inputs: {from: source, build: 3}"), 7, "part of this run"),
    ("downstream.unknown-belt", job("downstreams:", "- {downstream-product: p, belts: c}"), 8, "b"),
    ("reference.single-quoted", script("echo", "  '${k.X}'"), 10, "\"${k.X}\"'"),
    ("reference.quoted-here-document", script("cat <<'E'", "${k.X}", "E"), 10, "end word"),
    ("reference.in-arithmetic", script("echo $(( ${k.X} + 1 ))"), 9, 'n="${k.X}"'),
    ("reference.not-in-shell", script("print('${k.X}')", language="python"), 9, "env:"),
    ("reference.double-braces", script("echo", "echo ${{ k.X }}"), 10, "${k.X}"),
    ("reference.misplaced", job("outputs:", "  - String: X=${k.X}"), 8, "commands"),
    ("reference.misplaced", job("working-directory: ${k.X}"), 7, "cd"),
    ("reference.unknown-belt", script("echo ${p.bb.X}"), 9, 'Did you mean "b"?'),
    ("reference.unknown-job", script("echo ${p.b.jj.X}"), 9, 'Did you mean "j"?'),
    ("reference.undeclared-output", job("outputs: [VERSION]", "post-run: echo ${j.VERSON}"), 8,
     'Did you mean "VERSION"?'),
    ("reference.undeclared-output", job("env:", "  A: x ${p.b.j.X}"), 8, "not declared"),
]  # fmt: skip

OTHER = """\
product: other
belts:
  - name: one
    jobs:
      - {name: x, commands: make, outputs: [V]}
      - {name: y, commands: make, outputs: [V, W]}
  - name: two
    jobs:
      - {name: x, commands: make, outputs: [V]}
"""
CLASH = JOB.replace("name: j", "name: other").replace("make", "make") + "        outputs: [V]\n"

ACROSS: list[tuple[str, str, str, int, str]] = [
    ("trigger.unknown-product", "warning",
     trigger("upstream-build:", "upstream-product: q", "upstream-belt: c", "belts: b"), 9, "waits"),
    ("trigger.unknown-upstream-belt", "warning",
     trigger("upstream-build:", "upstream-product: other", "upstream-belt: on", "belts: b"), 10,
     'Did you mean "one"?'),
    ("input.unknown-product", "warning", job("inputs: [source, jj]"), 7, 'Did you mean "j"?'),
    ("input.unknown-belt", "warning", job("inputs: other.onne"), 7, 'Did you mean "one"?'),
    ("input.unknown-job", "warning", job("inputs: other.one.z"), 7, "x, y"),
    ("input.ambiguous", "error",
     CLASH + "      - {name: k, commands: make, inputs: other}\n", 8, "p.b.other"),
    ("downstream.unknown-product", "warning",
     job("downstreams: [{downstream-product: q, belts: c}]"), 7, "imported"),
    ("downstream.unknown-belt", "warning",
     job("downstreams: [{downstream-product: other, belts: [one, three]}]"), 7, "three"),
    ("reference.ambiguous", "error",
     CLASH + "      - {name: k, commands: 'echo ${other.V}'}\n", 8, "${p.b.other.V}"),
    ("reference.several", "warning", script("echo ${other.V}"), 9, "${other.one.y.V}"),
    ("reference.unknown-product", "warning", script("echo", "echo ${jj.X}"), 10, "neither a job"),
    ("reference.unknown-product", "warning", script("echo ${j.b.X}"), 9, "${j.X}"),
    ("reference.unknown-belt", "warning", script("echo ${other.onne.V}"), 9, "one"),
    ("reference.unknown-job", "warning", script("echo ${other.one.z.V}"), 9, "x, y"),
    ("reference.undeclared-output", "warning", script("echo ${other.two.W}"), 9, "V"),
]  # fmt: skip


class OneProduct:
    def product(self, name: str) -> BeltFile | None:
        file = parse_belt_text(OTHER).file
        return file if name == "other" else None


def told(problems: list[Problem], code: str) -> Problem:
    found = [each for each in problems if each.code == code]
    assert found, [each.code for each in problems]
    return found[0]


@pytest.mark.parametrize(("code", "text", "line", "says"), IN_THE_FILE)
def test_a_wrong_file_is_told_with_code_line_and_way_out(
    code: str, text: str | bytes, line: int | None, says: str
) -> None:
    parsed = parse_belt_text(text)

    problem = told(list(parsed.problems), code)
    assert problem.line == line
    assert says in f"{problem.message} {problem.hint}"
    assert (parsed.file is None) == any(each.is_error for each in parsed.problems)


@pytest.mark.parametrize(("code", "severity", "text", "line", "says"), ACROSS)
def test_a_wrong_name_of_another_product_is_told_when_files_are_compared(
    code: str, severity: str, text: str, line: int, says: str
) -> None:
    file = parse_belt_text(text).file
    assert file is not None

    problem = told(check(file, OneProduct()), code)
    assert (problem.severity, problem.line) == (severity, line)
    assert says in f"{problem.message} {problem.hint}"


def test_every_code_has_a_case() -> None:
    covered = {code for code, *_ in IN_THE_FILE} | {code for code, *_ in ACROSS}
    # Those that do not come from reading a text; they have tests of their own.
    assert set(CODES) - covered == {
        "file.missing",
        "file.not-pushed",
        "file.unparseable",
        "source.too-large",
        "product.no-source",
        "product.other-name",
        "product.other-source",
        "trigger.other-repository",
        "source.url",
        "job.unknown-credential",
    }


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    text = (
        "product: a.b\ntrigers: []\nbelts:\n  - name: b\n    jobs:\n"
        "      - name: j\n        comands: x\n        timeout: soon\n"
        "        post-run: echo '${j.X}'\n"
    )
    codes = [(each.line, each.code) for each in parse_belt_text(text).problems]
    assert codes == [
        (1, "value.malformed"),
        (2, "key.unknown"),
        (6, "key.missing"),
        (7, "key.unknown"),
        (8, "value.malformed"),
        (9, "reference.single-quoted"),
    ]


def test_a_name_that_could_not_be_read_makes_no_further_problems() -> None:
    text = job("outputs: [String: 1X]") + "      - {name: k, commands: 'echo ${j.X}'}\n"
    assert [each.code for each in parse_belt_text(text).problems] == ["value.malformed"]
    text = JOB.replace("name: j", "name: j.j") + "      - {name: k, commands: 'echo ${p.b.j.X}'}\n"
    assert [each.code for each in parse_belt_text(text).problems] == ["value.malformed"]


def test_what_is_refused_by_its_form_makes_no_further_problems() -> None:
    text = (
        JOB.replace("make", "*cmd")
        + "        outputs: *o\n        timeout: !x\n        queue: &q\n"
        + "      - {name: k, commands: 'echo ${j.X}'}\n"
        + "  - {name: c, jobs: *jobs}\n  - *belt\n"
    )
    codes = [each.code for each in parse_belt_text(text).problems]
    assert sorted(codes) == ["file.alias"] * 5 + ["file.tag"]


def test_an_unreadable_name_of_a_belt_hides_nothing_in_its_jobs() -> None:
    text = job("inputs: [stray]", "post-run: echo ${gone.X}").replace("name: b", "name: b b")
    parsed = parse_belt_text(text)
    assert parsed.draft is not None
    found = check(parsed.draft, OneProduct())
    assert [each.code for each in found] == ["input.unknown-product", "reference.unknown-product"]
    assert all("of this belt nor" in each.message for each in found)


def test_a_second_belt_of_that_name_hides_nothing_of_the_first() -> None:
    text = job("inputs: [stray]") + "  - {name: b, jobs: []}\n"
    parsed = parse_belt_text(text)
    assert parsed.draft is not None
    assert [each.code for each in check(parsed.draft, OneProduct())] == ["input.unknown-product"]


def test_bytes_that_are_not_utf8_are_told_with_their_column() -> None:
    (problem,) = parse_belt_text("product: p\ndescription: é ".encode() + b"caf\xe9\n").problems
    assert (problem.line, problem.column) == (2, 19)


def test_a_misspelt_key_makes_no_further_problems() -> None:
    text = trigger("manual:", "belts: b").replace("\nbelts:", "\nbelst:")
    assert [each.code for each in parse_belt_text(text).problems] == ["key.unknown"]
    text = job("ouputs: [X]") + "      - {name: k, commands: 'echo ${j.X}'}\n"
    assert [each.code for each in parse_belt_text(text).problems] == ["key.unknown"]


def test_what_could_not_be_read_hides_nothing_that_is_wrong_elsewhere() -> None:
    text = (
        "product: p\ndescription: [x]\ntriggers: [{manual: , belts: [bb]}]\nbelts:\n"
        "  - name: b\n    jobs:\n"
        "      - {name: j, outputs: [1X], commands: 'echo ${k.Y} ${gone.Z}', inputs: [k, stray]}\n"
        "      - {name: k, inputs: j, outputs: [X], comands: x, commands: 'echo ${p.b.l.X}'}\n"
        "  - {name: c, jobs: [{commands: 'echo ${k.X}'}]}\n"
        "    "
    )
    parsed = parse_belt_text(text)
    assert parsed.draft is not None
    found = [*parsed.problems, *check(parsed.draft, OneProduct())]
    assert sorted((each.line, each.code) for each in found) == [
        (2, "value.wrong-type"),
        (3, "trigger.unknown-belt"),
        (7, "belt.cycle"),
        (7, "input.unknown-product"),
        (7, "reference.undeclared-output"),
        (7, "reference.unknown-product"),
        (7, "value.malformed"),
        (8, "key.unknown"),
        (8, "reference.unknown-job"),
        (9, "key.missing"),
    ]


def test_a_product_whose_name_could_not_be_read_has_no_wrong_names() -> None:
    text = job("inputs: pp.b.j", "downstreams: [{downstream-product: pp, belts: b}]")
    parsed = parse_belt_text(text.replace("product: p\n", "product: p.p\n"))
    assert parsed.draft is not None
    assert [each.code for each in parsed.problems] == ["value.malformed"]
    assert check(parsed.draft, OneProduct()) == []


def test_a_reserved_variable_is_shown_at_its_name() -> None:
    problem = told(list(parse_belt_text(job("env: {A: x, PATH: y}")).problems), "name.reserved")
    assert (problem.line, problem.column) == (7, 21)


def test_a_loop_through_a_known_product_is_told_once() -> None:
    other = OTHER + "    downstreams: [{downstream-product: p, belts: b}]\n"

    class Looping:
        def product(self, name: str) -> BeltFile | None:
            return parse_belt_text(other).file if name == "other" else None

    file = parse_belt_text(job("downstreams: [{downstream-product: other, belts: two}]")).file
    assert file is not None
    (problem,) = check(file, Looping())
    assert (problem.code, problem.severity) == ("downstream.loop", "warning")
    assert "p.b starts other.two starts p.b" in problem.message


def test_belts_that_only_follow_one_another_are_no_loop() -> None:
    text = LOOP.replace("upstream-belt: c}, belts: b", "upstream-belt: b}, belts: c")
    assert parse_belt_text(text).problems == ()


def test_a_product_without_repository_gets_a_warning_that_names_its_jobs() -> None:
    file = parse_belt_text(job("inputs: source")).file
    assert file is not None
    problem = no_source(file)
    assert (problem.code, problem.severity) == ("product.no-source", "warning")
    assert "b.j" in problem.message


def test_an_unknown_code_cannot_be_told() -> None:
    with pytest.raises(ValueError, match=r"no\.such"):
        Problem("no.such", "error", "x")


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (None, "value.empty"),
        ([], "value.wrong-type"),
        ({1: 2}, "file.bad-key"),
        ({"product": {1, 2}}, "value.wrong-type"),
        ({"product": float("nan")}, "value.wrong-type"),
        ({"product": 10**6000}, "value.malformed"),
        ({"product": "p\0"}, "file.bad-character"),
        ({"product": "\ud800"}, "file.bad-character"),
        ({"product": "p", "description": "x" * 300_000}, "file.too-large"),
        ({"product": ["a"] * 21_000}, "file.too-many-nodes"),
    ],
)
def test_plain_data_that_no_file_could_hold_is_told(document: object, code: str) -> None:
    parsed = parse_document(document)
    assert parsed.file is None
    assert [each.code for each in parsed.problems] == [code]


def test_plain_data_that_contains_itself_is_told() -> None:
    document: dict[str, object] = {"product": "p"}
    document["belts"] = [document]
    assert [each.code for each in parse_document(document).problems] == ["file.too-deep"]
