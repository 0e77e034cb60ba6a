"""Which output a reference means."""

from __future__ import annotations

import pytest

from belts.spec import BeltFile, Problem, parse_belt_text
from belts.spec.references import parse_reference
from belts.spec.resolve import (
    LocalOutput,
    ProductOutput,
    check,
    governing_input,
    resolve_reference,
)


def file_of(text: str) -> BeltFile:
    file = parse_belt_text(text).file
    assert file is not None
    return file


GEM = file_of("""\
product: gem
belts:
  - name: build
    jobs:
      - {name: build, commands: make, outputs: [FILE]}
      - {name: sign, commands: make, outputs: [SIGNATURE]}
  - name: nightly
    jobs:
      - {name: build, commands: make, outputs: [FILE, DATE]}
""")
HERE = file_of("""\
product: here
belts:
  - name: b
    jobs:
      - {name: gemlike, commands: make, outputs: [X]}
      - {name: here, commands: make, outputs: [Y]}
      - name: j
        commands: make
        inputs: [gem, {from: gem.build, build: 4}, {from: gem.build.sign, branch: x}]
  - name: other
    jobs:
      - {name: gemlike, commands: make, outputs: [X, Z]}
""")


class Products:
    def product(self, name: str) -> BeltFile | None:
        return GEM if name == "gem" else None


def meaning(text: str, severity: str = "error") -> LocalOutput | ProductOutput | Problem:
    reference = parse_reference(text)
    assert reference is not None
    return resolve_reference(
        reference, file=HERE, belt=HERE.belts[0], catalogue=Products(), severity=severity
    )


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("${gemlike.X}", LocalOutput("gemlike", "X")),
        ("${here.b.gemlike.X}", LocalOutput("gemlike", "X")),
        ("${here.Y}", LocalOutput("here", "Y")),
        ("${here.b.X}", LocalOutput("gemlike", "X")),
        ("${here.other.gemlike.X}", ProductOutput("here", "other", "gemlike", "X")),
        ("${here.gemlike.Z}", ProductOutput("here", "other", "gemlike", "Z")),
        ("${gem.SIGNATURE}", ProductOutput("gem", "build", "sign", "SIGNATURE")),
        ("${gem.sign.SIGNATURE}", ProductOutput("gem", "build", "sign", "SIGNATURE")),
        ("${gem.build.SIGNATURE}", ProductOutput("gem", "build", "sign", "SIGNATURE")),
        ("${gem.build.DATE}", ProductOutput("gem", "nightly", "build", "DATE")),
        ("${gem.nightly.FILE}", ProductOutput("gem", "nightly", "build", "FILE")),
        ("${gem.build.build.FILE}", ProductOutput("gem", "build", "build", "FILE")),
    ],
)
def test_names_may_be_left_out_while_one_output_is_meant(
    text: str, output: LocalOutput | ProductOutput
) -> None:
    assert meaning(text) == output


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("${gem.FILE}", "reference.several"),
        ("${gem.build.FILE}", "reference.several"),
        ("${here.gemlike.X}", "reference.several"),
        ("${gem.build.NOPE}", "reference.undeclared-output"),
        ("${gem.nope.FILE}", "reference.unknown-belt"),
        ("${gem.build.nope.FILE}", "reference.unknown-job"),
        ("${gemlike.NOPE}", "reference.undeclared-output"),
        ("${nope.X}", "reference.unknown-product"),
    ],
)
def test_what_means_no_output_or_several_is_a_problem(text: str, code: str) -> None:
    found = meaning(text)
    assert isinstance(found, Problem)
    assert (found.code, found.severity) == (code, "error")


def test_only_problems_of_other_products_have_the_callers_severity() -> None:
    other, own = meaning("${gem.build.NOPE}", "warning"), meaning("${gemlike.NOPE}", "warning")
    assert isinstance(other, Problem)
    assert isinstance(own, Problem)
    assert (other.severity, own.severity) == ("warning", "error")


def test_several_candidates_are_named_in_full() -> None:
    found = meaning("${gem.FILE}")
    assert isinstance(found, Problem)
    assert found.hint == "Write one of ${gem.build.build.FILE}, ${gem.nightly.build.FILE}."


def test_the_most_exact_input_says_which_run_supplies_an_output() -> None:
    job = HERE.belts[0].jobs[2]
    assert governing_input(job, ProductOutput("gem", "nightly", "build", "FILE")) == job.inputs[0]
    assert governing_input(job, ProductOutput("gem", "build", "build", "FILE")) == job.inputs[1]
    assert governing_input(job, ProductOutput("gem", "build", "sign", "S")) == job.inputs[2]
    assert governing_input(job, ProductOutput("q", "build", "sign", "S")) is None


def test_a_long_input_name_tells_a_job_from_a_product_of_the_same_name() -> None:
    text = """\
product: here
belts:
  - name: b
    jobs:
      - {name: gem, commands: make, outputs: [V]}
      - {name: j, commands: 'echo "${here.b.gem.V}" "${gem.nightly.DATE}"', inputs: [here.b.gem]}
"""
    file = file_of(text)
    assert check(file, Products()) == []
    assert file.belts[0].jobs[1].needs == ("gem",)
    short = file_of(text.replace("inputs: [here.b.gem]", "inputs: [gem]"))
    assert [each.code for each in check(short, Products())] == ["input.ambiguous"]
