"""The three files of the original description, verbatim."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from belts.spec import BeltFile, digest, parse_belt_text, parse_document
from belts.spec.references import Reference, job_references, rewritten
from belts.spec.resolve import ProductOutput, check, governing_input, resolve_reference
from belts.spec.shapes import DownstreamSpec, InputSpec, OutputSpec

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
FILES = {
    "ror-api-backend": SCENARIOS / "01_ror_api_backend" / "ror-api-backend.conveyor.yml",
    "ami": SCENARIOS / "02_ami" / "ami.conveyor.yml",
    "terraform": SCENARIOS / "03_terraform" / "terraform.conveyor.yml",
}


class Products:
    def __init__(self, *files: BeltFile) -> None:
        self.files = {file.product: file for file in files}

    def product(self, name: str) -> BeltFile | None:
        return self.files.get(name)


def example(name: str) -> BeltFile:
    file = parse_belt_text(FILES[name].read_bytes()).file
    assert file is not None
    return file


def test_the_first_file_says_what_its_text_says() -> None:
    file = example("ror-api-backend")

    assert [(each.kind, each.types, each.belts) for each in file.triggers] == [
        ("scm-event", ("pull-request",), ("pull-request-tests",)),
        ("scm-event", ("merge",), ("build-gem",)),
    ]
    assert {each.repo for each in file.triggers} == {"git://github.com/ror-api-backend"}
    assert [job.name for job in file.belts[0].jobs] == ["rubocop", "rspec"]
    job = file.belts[1].jobs[0]
    assert job.inputs == (InputSpec("source"),)
    assert (job.pre_run, job.commands) == ("bundle install", "bundle exec rake gem:build")
    assert job.outputs == (
        OutputSpec("GEM_VERSION", value="$GEM_VERSION"),
        OutputSpec("PACKER_FILE", value="ror_ami.json"),
    )
    assert job.downstreams == (DownstreamSpec("ami", ("build-ror-ami",)),)


def test_the_second_file_has_null_triggers_and_a_reference_to_the_first() -> None:
    first, file = example("ror-api-backend"), example("ami")
    belt = file.belts[0]
    job = belt.jobs[0]
    reference = Reference(("ror-api-backend", "build-gem"), "PACKER_FILE")

    assert file.triggers == ()
    assert job.inputs == (
        InputSpec("source"),
        InputSpec("product", "ror-api-backend", "build-gem"),
    )
    assert job_references(job) == {"CONVEYOR_REF_1": reference}
    assert rewritten(job)[1] == "packer build ${CONVEYOR_REF_1}"
    found = resolve_reference(reference, file=file, belt=belt, catalogue=Products(first))
    assert found == ProductOutput("ror-api-backend", "build-gem", "build-gem", "PACKER_FILE")
    assert governing_input(job, found) == job.inputs[1]
    assert check(file, Products(first)) == []


def test_the_third_file_has_exactly_two_dangling_names_and_is_imported() -> None:
    parsed = parse_belt_text(FILES["terraform"].read_bytes())
    assert parsed.file is not None
    across = check(parsed.file, Products(example("ror-api-backend"), example("ami")))

    problems = [*parsed.problems, *across]
    assert [(each.code, each.severity, each.line, each.hint) for each in problems] == [
        ("trigger.unknown-belt", "warning", 7, 'Did you mean "build-gem"?'),
        ("trigger.unknown-upstream-belt", "warning", 5, 'Did you mean "build-ror-ami"?'),
    ]
    broken = parsed.file.triggers[0].broken
    assert broken is not None
    assert "build-ror-ami" in broken


def test_an_example_whose_suppliers_are_not_imported_yet_only_warns() -> None:
    problems = check(example("ami"), Products())

    assert {each.severity for each in problems} == {"warning"}
    assert {each.code for each in problems} == {
        "input.unknown-product",
        "reference.unknown-product",
    }


@pytest.mark.parametrize("name", FILES)
def test_an_example_survives_both_plain_forms(name: str) -> None:
    file = example(name)
    stored = json.loads(json.dumps(file.to_document()))

    assert BeltFile.from_document(stored) == file
    assert digest(BeltFile.from_document(stored)) == digest(file)
    assert BeltFile.from_document(stored).triggers[-1:] == file.triggers[-1:]
    assert parse_document(file.to_yaml_document()).file == file
