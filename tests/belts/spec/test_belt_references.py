"""References in data and in scripts."""

from __future__ import annotations

import pytest

from belts.spec.references import (
    MisplacedReferenceError,
    Reference,
    find_references,
    job_references,
    parse_reference,
    rewrite_script,
    rewritten,
    scan_script,
    substitute,
)
from belts.spec.shapes import JobSpec

A_B = Reference(("a",), "B")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("${a.B}", ("a",)),
        ("${a-b_c.9x.B}", ("a-b_c", "9x")),
        ("${a.b.c.B}", ("a", "b", "c")),
    ],
)
def test_a_reference_has_one_to_three_names_and_an_output(text: str, parts: tuple[str]) -> None:
    reference = parse_reference(text)
    assert reference == Reference(parts, "B")
    assert reference.text == text


@pytest.mark.parametrize(
    "text",
    [
        "$a.B", "${B}", "${a.b.c.d.B}", "${f%.tar.gz}", "${V:-1.0}", "${a.9B}", "${-a.B}", "${.B}",
        "${a.}", "${a.B-C}", "${a .B}", "${ä.B}", "${a.B:-x}", "${a.B", "$(a.B)", "${a..B}",
    ],
)  # fmt: skip
def test_everything_else_in_braces_is_the_shells(text: str) -> None:
    assert parse_reference(text) is None
    assert find_references(text) == ()
    assert rewrite_script(f"echo {text}", "bash", lambda _: "V") == f"echo {text}"


def test_data_takes_values_as_they_are_and_once() -> None:
    values = {A_B: "${a.B} $(id) \\", Reference(("c", "d"), "E"): ""}
    assert substitute("<${a.B}|${c.d.E}|${V}>", values) == "<${a.B} $(id) \\||${V}>"
    assert find_references("${a.B} ${c.d.E} ${a.B}") == tuple(values)


def test_a_backslash_keeps_a_reference_as_text_in_data() -> None:
    assert substitute(r"\${a.B} \\${a.B}", {A_B: "v"}) == r"${a.B} \\v"
    assert find_references(r"\${a.B}") == ()


def test_a_value_that_is_missing_is_no_empty_text() -> None:
    with pytest.raises(KeyError):
        substitute("${a.B}", {})


def test_variables_are_numbered_by_first_appearance_in_a_fixed_order() -> None:
    job = JobSpec(
        "j",
        env={"Z": "${z.Z}", "A": "${a.B}"},
        pre_run="echo ${p.P} ${a.B}",
        commands="echo ${c.C} # ${n.N}\necho \\${m.M}",
        post_run="echo ${z.Z} ${c.C}",
    )
    assert {name: str(each) for name, each in job_references(job).items()} == {
        "CONVEYOR_REF_1": "a.B",
        "CONVEYOR_REF_2": "z.Z",
        "CONVEYOR_REF_3": "p.P",
        "CONVEYOR_REF_4": "c.C",
    }
    assert rewritten(job) == (
        "echo ${CONVEYOR_REF_3} ${CONVEYOR_REF_1}",
        "echo ${CONVEYOR_REF_4} # ${n.N}\necho \\${m.M}",
        "echo ${CONVEYOR_REF_2} ${CONVEYOR_REF_4}",
    )


@pytest.mark.parametrize(
    ("script", "placement"),
    [
        ("echo ${a.B}", "live"),
        ('echo "it\'s ${a.B}"', "live"),
        ("echo '${a.B}'", "single-quoted"),
        ("echo $'\\'${a.B}'", "single-quoted"),
        ("echo '\\\\'${a.B}", "live"),
        ("echo \\'${a.B}\\'", "live"),
        ("echo x#${a.B}", "live"),
        ("echo x # ${a.B}", "comment"),
        ("echo ${#x} ${a.B}", "live"),
        ("echo $# ${a.B}", "live"),
        ("cat <<E\n'${a.B}'\nE", "live"),
        ("cat <<'E'\n${a.B}\nE", "quoted-here-document"),
        ("cat <<\\E\n${a.B}\nE", "quoted-here-document"),
        ("cat <<-'E'\n\t${a.B}\n\tE", "quoted-here-document"),
        ("cat <<'E'\nE\necho ${a.B}", "live"),
        ("cat <<'A' <<B\n'\nA\n${a.B}\nB", "live"),
        ("cat <<< '${a.B}'", "single-quoted"),
        ("echo $((1<<2))\n${a.B}", "live"),
        ("(( x<<2 ))\necho '${a.B}'", "single-quoted"),
        ("echo \"$(echo '${a.B}')\"", "single-quoted"),
        ('echo "$(case a in a) echo "${a.B}";; esac)\'"', "live"),
        ("echo \"$(case a in (a) echo '${a.B}';; esac)\"", "single-quoted"),
        ("echo `echo '${a.B}'`", "single-quoted"),
        ("echo `echo \\\\'${a.B}`", "live"),
        ("echo ${x:-'${a.B}'}", "single-quoted"),
        ("echo \"${x:-'${a.B}'}\"", "live"),
        ("echo \"${x#'${a.B}'}\"", "single-quoted"),
        ("echo ${x:-${y:-${a.B}}}", "live"),
        ("echo ${x:${a.B}}", "in-arithmetic"),
        ("echo ${x[${a.B}]}", "in-arithmetic"),
        ("echo $(( ${a.B} ))", "in-arithmetic"),
        ("(( x = ${a.B} ))", "in-arithmetic"),
        ("echo $(( $(echo ${a.B}) ))", "live"),
        ("( (echo ${a.B}) )", "live"),
        ("((echo a); (echo ${a.B}))", "live"),
    ],
)
def test_the_place_of_a_reference_in_a_script_is_known(script: str, placement: str) -> None:
    assert [each.placement for each in scan_script(script, "bash")] == [placement]


@pytest.mark.parametrize("script", ["echo \\${a.B}", 'echo "\\${a.B}"', "'\\${a.B}'", "$${a.B}"])
def test_what_is_escaped_is_the_shells(script: str) -> None:
    assert scan_script(script, "bash") == ()
    assert rewrite_script(script, "bash", lambda _: "V") == script


def test_only_bash_knows_dollar_quotes() -> None:
    script = "echo $'\\' ${a.B}"
    assert scan_script(script, "bash")[0].placement == "single-quoted"
    assert scan_script(script, "sh")[0].placement == "live"


def test_a_misplaced_reference_is_never_rewritten_in_silence() -> None:
    for script, shell in (("echo '${a.B}'", "sh"), ("x = '${a.B}'", "python")):
        with pytest.raises(MisplacedReferenceError):
            rewrite_script(script, shell, lambda _: "V")
