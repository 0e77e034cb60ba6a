"""``${{ }}`` of other systems, and names of time zones."""

from __future__ import annotations

import pytest

from belts.spec import Problem, parse_belt_text

HEAD = "product: p\nbelts:\n  - name: b\n    jobs:\n      - name: j\n"


def job(*lines: str) -> str:
    return HEAD + "".join(f"        {line}\n" for line in lines)


def problems_of(text: str) -> list[Problem]:
    return [each for each in parse_belt_text(text).problems if each.code.endswith("double-braces")]


@pytest.mark.parametrize(
    ("inside", "hint"),
    [
        ("build.VERSION", "Conveyor writes ${build.VERSION}."),
        ("needs.build.outputs.VERSION", "Conveyor writes ${build.VERSION} for an output of a job."),
        ("env.NAME", "Conveyor writes $NAME for a variable."),
        ("secrets.TOKEN", "Add the credential to `credentials`. Its variable is $TOKEN."),
        ("github.sha", "Conveyor writes $CONVEYOR_COMMIT."),
        (
            "fromJSON(x) == 1",
            "Conveyor writes ${build.VERSION} for the output VERSION of the job build.",
        ),
    ],
)
def test_double_braces_in_a_script_are_an_error(inside: str, hint: str) -> None:
    text = job("commands: |", "  set -e", f'  echo "a ${{{{ {inside} }}}}"')
    (problem,) = problems_of(text)
    assert (problem.severity, problem.line, problem.column) == ("error", 8, 19)
    assert problem.message == (
        f'Conveyor does not replace "${{{{ {inside} }}}}". The shell fails there.'
    )
    assert problem.hint == hint
    assert parse_belt_text(text).file is None


@pytest.mark.parametrize("line", ["env: {A: '${{ b.C }}'}", "working-directory: '${{ b.C }}'"])
def test_double_braces_in_plain_text_are_a_warning(line: str) -> None:
    parsed = parse_belt_text(job("commands: make", line))
    (problem,) = parsed.problems
    assert (problem.code, problem.severity) == ("reference.double-braces", "warning")
    assert (problem.line, problem.hint) == (7, "Conveyor writes ${b.C}.")
    assert parsed.file is not None


def test_double_braces_in_env_of_a_belt_are_one_warning() -> None:
    text = job("commands: make") + "      - {name: k, commands: x}\n    env: {A: '${{ b.C }}'}\n"
    (problem,) = problems_of(text)
    assert (problem.path, problem.line) == ("belts[0].env.A", 8)


def test_double_braces_in_an_output_are_an_error() -> None:
    (problem,) = problems_of(job("commands: make", "outputs:", "  - 'A=x${{ b.C }}'"))
    assert (problem.severity, problem.line) == ("error", 8)


@pytest.mark.parametrize(
    "script",
    [
        "echo '${{ a.B }}'",
        "echo \\${{ a.B }}",
        "true # ${{ a.B }}",
        "cat <<'END'\n          ${{ a.B }}\n          END",
        "echo ${A:-{{ }}}",
    ],
)
def test_double_braces_that_no_shell_expands_are_left_alone(script: str) -> None:
    assert parse_belt_text(job("commands: |", f"  {script}")).problems == ()


def test_double_braces_in_python_are_left_alone() -> None:
    assert parse_belt_text(job("shell: python", "commands: print('${{ a.B }}')")).problems == ()


def schedule(zone: str) -> str:
    trigger = f"triggers: [{{schedule: {{cron: 1 1 * * *, timezone: {zone}, belts: b}}}}]\n"
    return job("commands: x") + trigger


@pytest.mark.parametrize(
    "zone", ["localtime", "posixrules", "right/Europe/Berlin", "posix/UTC", "tzdata.zi", "Mars/One"]
)
def test_time_zone_that_is_none_of_iana_is_refused(zone: str) -> None:
    (problem,) = parse_belt_text(schedule(zone)).problems
    assert (problem.code, problem.hint) == ("trigger.bad-timezone", "Example: Europe/Berlin")
    assert problem.message == f'"{zone}" is not the name of a time zone of IANA.'


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Etc/GMT+5", "US/Pacific"])
def test_time_zone_of_iana_is_accepted(zone: str) -> None:
    assert parse_belt_text(schedule(zone)).problems == ()


def test_time_zone_in_lower_case_gets_the_right_one_as_hint() -> None:
    (problem,) = parse_belt_text(schedule("europe/berlin")).problems
    assert problem.hint == 'Did you mean "Europe/Berlin"?'
