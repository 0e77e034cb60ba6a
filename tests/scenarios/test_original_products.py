"""The three files of the original description, verbatim, on a site of real processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from belts.importing import ImportOptions, ImportOutcome, import_sources
from belts.models import Trigger
from runs.models import BeltRun, Consumption, Output
from tests.scenarios.living import SCENARIOS, ScenarioSite

pytestmark = [pytest.mark.database, pytest.mark.processes]

FILES = {
    "ror-api-backend": SCENARIOS / "01_ror_api_backend" / "ror-api-backend.conveyor.yml",
    "ami": SCENARIOS / "02_ami" / "ami.conveyor.yml",
    "terraform": SCENARIOS / "03_terraform" / "terraform.conveyor.yml",
}
#: What else their repositories hold; each image is made from its own repository's file.
MORE = {
    "ror-api-backend": {"version": "2.7.1\n"},
    "ami": {"ror_ami.json": '{"builders": []}\n'},
    "terraform": {"ror_ami.json": '{"builders": ["another"]}\n'},
}
CORRECTED = SCENARIOS / "04_corrected_terraform" / "terraform.conveyor.yml"
STAND_INS = SCENARIOS / "stand_ins"


@pytest.fixture
def original(site: ScenarioSite) -> ScenarioSite:
    """A site with the three products, their repositories and programs that stand in."""
    site.put_on_job_path(STAND_INS / "bundle", STAND_INS / "packer")
    for name, file in FILES.items():
        imported(site, name, file, MORE[name])
    return site


def imported(
    site: ScenarioSite, name: str, file: Path, more: dict[str, str] | None = None
) -> ImportOutcome:
    """Commit a belt file to the product's repository and import it; return what came of it."""
    text = file.read_bytes().decode()
    repository = str(site.repository(name, {".conveyor.yml": text, **(more or {})}))
    outcome = import_sources([repository], ImportOptions(source=repository))[0]
    assert not outcome.failed, outcome.problems
    return outcome


def run(site: ScenarioSite, belt: str) -> tuple[int, str]:
    """Run a belt with all that it leads to; return the exit code and what was said."""
    done = site.manage("run_belt", belt, "--follow", "--chain")
    return done.returncode, done.stdout + done.stderr


def ran() -> list[str]:
    """Return the belt runs by name with their state, oldest first."""
    return [f"{run} {run.state}" for run in BeltRun.objects.order_by("id")]


def values(belt: str) -> dict[str, str]:
    """Return what the runs of a belt handed on."""
    product, _, name = belt.partition(".")
    rows = Output.objects.filter(
        job_run__belt_run__belt__name=name, job_run__belt_run__belt__product__name=product
    )
    return dict(rows.values_list("name", "value"))


def test_a_gem_becomes_an_image_and_the_dangling_third_product_stays_out(
    original: ScenarioSite,
) -> None:
    original.start()

    code, said = run(original, "ror-api-backend.build-gem")

    assert code == 0, said
    assert ran() == ["ror-api-backend.build-gem #1 succeeded", "ami.build-ror-ami #1 succeeded"]
    assert "bundle was asked [install]" in said
    assert "bundle was asked [exec] [rake] [gem:build]" in said
    assert "packer was asked [build] [ror_ami.json]" in said
    assert values("ror-api-backend.build-gem") == {
        "GEM_VERSION": "2.7.1",
        "PACKER_FILE": "ror_ami.json",
    }
    assert values("ami.build-ror-ami")["AMI_ID"].startswith("ami-")
    received = Consumption.objects.get()
    assert received.value == "ror_ami.json"
    assert str(received.consumer) == "ami.build-ror-ami #1: execute-packer"
    assert received.output is not None
    assert received.output.name == "PACKER_FILE"


def test_a_pull_request_only_runs_its_two_jobs(original: ScenarioSite) -> None:
    original.start()

    code, said = run(original, "ror-api-backend.pull-request-tests")

    assert code == 0, said
    assert ran() == ["ror-api-backend.pull-request-tests #1 succeeded"]
    assert "rubocop | bundle was asked [exec] [rubocop]" in said
    assert "rspec | bundle was asked [exec] [spec]" in said


def test_the_third_file_is_imported_with_two_warnings(original: ScenarioSite) -> None:
    file = str(FILES["terraform"])
    done = original.manage("import_conveyor_yml", file)
    said = done.stdout + done.stderr

    assert done.returncode == 0
    assert "trigger.unknown-belt" in said
    assert 'Did you mean "build-gem"?' in said
    assert "trigger.unknown-upstream-belt" in said
    assert 'Did you mean "build-ror-ami"?' in said
    trigger = Trigger.objects.get(product__name="terraform")
    assert "build-ror-ami" in trigger.broken


def test_the_corrected_third_file_ends_the_chain_with_its_image(original: ScenarioSite) -> None:
    assert imported(original, "terraform", CORRECTED).problems == ()
    original.start()

    code, said = run(original, "ror-api-backend.build-gem")

    assert code == 0, said
    assert ran() == [
        "ror-api-backend.build-gem #1 succeeded",
        "ami.build-ror-ami #1 succeeded",
        "terraform.build-gem #1 succeeded",
    ]
    image = values("terraform.build-gem")["AMI_ID"]
    assert image.startswith("ami-")
    assert image != values("ami.build-ror-ami")["AMI_ID"]
    # The value came past the product between: from the run at which the chain began.
    received = Consumption.objects.get(consumer__belt_run__belt__product__name="terraform")
    assert received.value == "ror_ami.json"
    assert received.output is not None
    assert str(received.output.job_run.belt_run) == "ror-api-backend.build-gem #1"
