"""Values on their way: byte for byte, with a row of lineage each."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runs.inputs import VALUES_BYTES
from runs.models import Consumption, Output
from tests.engine import Worker, consumed, job_of, publish_text, start, start_text, states

pytestmark = [pytest.mark.django_db, pytest.mark.database]

GEM = """
    product: gem
    belts:
      - name: build
        jobs:
          - {name: compile, commands: make, outputs: [{String: FILE}, {String: OTHER}]}
          - name: pack
            commands: "pack ${compile.FILE} ${compile.OTHER} ${compile.FILE}"
            outputs: [{String: PACK}]
"""
SITE = """
    product: site
    belts:
      - name: deploy
        jobs:
          - name: deploy
            commands: "use ${gem.build.compile.FILE} ${gem.build.pack.PACK}"
"""
NASTY = [
    "",
    " leading and trailing ",
    "line one\nline two\n\n",
    "$(touch /tmp/x) `id` $HOME ${PATH}",
    "'; rm -rf / #",
    '"quoted" \\ back\\slash',
    "-n --leading=dash *?[a]{b,c} ~ !",
    "\t\r\x01\x7f",
    "žluťoučký kůň 🐎 \u202e",
    "${gem.build.compile.FILE}",
    "x" * 30_000,
]


@pytest.mark.parametrize("value", NASTY, ids=[f"value-{index}" for index in range(len(NASTY))])
def test_a_value_arrives_as_it_was_handed_on_in_its_own_belt_and_in_others(value: str) -> None:
    publish_text(GEM)
    publish_text(SITE)
    worker = Worker()
    run = start("gem.build")
    worker.do(run, "compile", FILE=value, OTHER=value)
    assert consumed(run, "pack") == {"compile.FILE": value, "compile.OTHER": value}
    worker.do(run, "pack", PACK=value)
    there = start("site.deploy")
    assert set(consumed(there, "deploy").values()) == {value}


printable = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(printable, printable)
@settings(max_examples=25, deadline=None)
def test_any_two_values_arrive_unmixed(first: str, second: str) -> None:
    run = start_text(GEM)
    Worker().do(run, "compile", FILE=first, OTHER=second)
    assert consumed(run, "pack") == {"compile.FILE": first, "compile.OTHER": second}


def test_each_value_has_one_row_that_knows_its_producer_and_its_consumer() -> None:
    publish_text(GEM)
    publish_text(SITE)
    worker = Worker()
    run = start("gem.build")
    worker.do(run, "compile", FILE="a.gem", OTHER="o")
    worker.do(run, "pack", PACK="p")
    there = start("site.deploy")
    made = Output.objects.get(job_run=job_of(run, "compile"), name="FILE")
    takers = {row.consumer for row in made.consumptions.all()}
    assert takers == {job_of(run, "pack"), job_of(there, "deploy")}
    row = Consumption.objects.get(consumer=job_of(there, "deploy"), output=made)
    assert row.reference == "gem.build.compile.FILE"
    assert row.supplier_label == "gem.build #1: compile"
    variables = job_of(run, "pack").consumed.values_list("variable", flat=True)
    assert len(set(variables)) == 2


def test_values_that_no_environment_can_hold_end_the_job_with_their_size() -> None:
    run = start_text(GEM)
    half = "x" * (VALUES_BYTES // 2 + 1)
    Worker().do(run, "compile", FILE=half, OTHER=half)
    row = job_of(run, "pack")
    assert (row.state, row.reason) == ("errored", "input-missing")
    assert row.message == f"The values that this job takes have {VALUES_BYTES + 2} bytes " + (
        f"together; {VALUES_BYTES} fit."
    )
    assert not Consumption.objects.exists()


def test_a_job_that_lacks_a_value_skips_those_that_need_it_in_the_same_transaction() -> None:
    publish_text(GEM)
    publish_text(
        SITE
        + """
          - {name: tell, inputs: deploy, commands: tell}
          - {name: alone, commands: alone}
        """
    )
    run = start("site.deploy")
    assert states(run) == {"deploy": "errored", "tell": "skipped", "alone": "queued"}
