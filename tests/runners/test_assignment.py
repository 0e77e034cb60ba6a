from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings

from belts.models import Definition
from belts.spec.shapes import BeltFile, BeltSpec, InputSpec, JobSpec, OutputSpec, digest
from products.credentials import set_value
from runners.assignment import Workbench, build_assignment
from runners.errors import SetupError
from runners.executor.shapes import Isolation, JobAssignment, OutputWord
from runners.process.links import Link
from runners.process.plan import RunnerPlan, SlotPlace
from runners.process.slot_line import SlotLine
from runners.protocol import PROTOCOL
from runs.attempts import Claim, RunnerFacts, claim_job_run
from runs.finish import give_back_attempt
from runs.models import JobRun
from runs.taint import taint
from runs.transitions import moving
from tests.builders import (
    a_belt_run,
    a_consumption,
    a_credential,
    a_fleet,
    a_job_run,
    a_product,
    an_output,
)

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    ours, theirs = Link.pair()
    plan = RunnerPlan(
        name="one",
        host="here",
        boot_id=uuid4(),
        previous_boot=None,
        queues=("default",),
        slots=(SlotPlace(0, 64000),),
        isolation=Isolation("uid", 64000, 64000),
        isolation_report=(),
        work_dir=tmp_path,
        job_path="/usr/bin:/bin",
        drain_limit_s=1.0,
        times=settings.CONVEYOR_TIMES,
    )
    yield Workbench(plan, plan.slots[0], SlotLine(theirs, 5.0, draining=False))
    ours.close()
    theirs.close()


def a_job(spec: JobSpec, **fields: Any) -> JobRun:
    """Return a queued run of that job."""
    run = a_belt_run({spec.name: "queued"}, **fields)
    file = BeltFile(run.belt.product.name, belts=(BeltSpec(run.belt.name, jobs=(spec,)),))
    Definition.objects.filter(id=run.definition_id).update(
        document=file.to_document(), digest=digest(file)
    )
    return run.job_runs.get()


def claimed(row: JobRun) -> Claim:
    runner = RunnerFacts(id=uuid4(), name="one", boot_id=uuid4(), protocol=PROTOCOL)
    claim = claim_job_run(runner, queues=[row.queue], nonce=uuid4(), job_run_id=row.id)
    assert claim is not None
    return claim


def built(row: JobRun, bench: Workbench) -> JobAssignment:
    return build_assignment(claimed(row), bench)


def test_a_job_gets_its_scripts_shell_outputs_and_times(bench: Workbench) -> None:
    spec = JobSpec(
        "build",
        shell="sh",
        pre_run="setup",
        commands="make",
        post_run="clean",
        outputs=(OutputSpec("A"), OutputSpec("B", value="$C")),
        post_run_timeout_s=7,
    )
    row = a_job(spec)
    assignment = built(row, bench)
    assert assignment.shell == "sh"
    assert assignment.script == "setup\nmake"
    assert assignment.post_run == "clean"
    assert assignment.outputs == (OutputWord("A"), OutputWord("B", "$C"))
    assert (assignment.timeout_s, assignment.post_run_timeout_s) == (row.timeout_s, 7)
    assert assignment.isolation == Isolation("uid", 64000, 64000)
    assert assignment.timing.silence_kill_s == settings.CONVEYOR_TIMES["silence_kill"]
    assert assignment.checkout is None


def test_a_job_is_told_what_it_is(bench: Workbench) -> None:
    row = a_job(JobSpec("build", commands="true"))
    run = row.belt_run
    facts = built(row, bench).facts
    assert facts["PRODUCT"] == run.belt.product.name
    assert facts["BELT"] == run.belt.name
    assert (facts["JOB"], facts["QUEUE"], facts["NUMBER"]) == ("build", "default", str(run.number))
    assert (facts["COMMIT"], facts["BRANCH"], facts["TAG"]) == (run.commit, "main", "")
    assert (facts["RUN_ID"], facts["JOB_RUN_ID"]) == (str(run.id), str(row.id))


def test_values_travel_in_variables_and_as_data_in_env(bench: Workbench) -> None:
    value = "'$(id)' \"\n*"
    spec = JobSpec("use", commands="echo ${lib.make.FILE}", env={"NAME": "x-${lib.make.FILE}"})
    row = a_job(spec)
    producer = a_job_run("succeeded", name="make")
    output = an_output(producer, "FILE", value)
    a_consumption(row, output, reference="lib.make.FILE", variable="CONVEYOR_REF_1")
    assignment = built(row, bench)
    assert assignment.script == "echo ${CONVEYOR_REF_1}"
    assert assignment.environment["CONVEYOR_REF_1"] == value
    assert assignment.environment["NAME"] == f"x-{value}"


def test_parameters_win_over_env(bench: Workbench) -> None:
    spec = JobSpec("use", commands="true", env={"LEVEL": "low", "OTHER": "stays"})
    row = a_job(spec, parameters={"LEVEL": "high"})
    environment = built(row, bench).environment
    assert (environment["LEVEL"], environment["OTHER"]) == ("high", "stays")


def test_the_second_job_of_a_run_is_built_without_reading_anything_again(
    bench: Workbench, django_assert_num_queries: object
) -> None:
    row = a_job(JobSpec("build", commands="true"))
    claim = claimed(row)
    first = build_assignment(claim, bench)
    with django_assert_num_queries(0):  # type: ignore[operator]  # pytest-django's own fixture
        assert build_assignment(claim, bench) == first


def test_a_fleet_gives_its_path_and_may_have_jobs_run_as_root(bench: Workbench) -> None:
    a_fleet("default", job_path="/opt/tools", root_jobs=True)
    assignment = built(a_job(JobSpec("build", commands="true")), bench)
    assert assignment.path == "/opt/tools"
    assert assignment.isolation == Isolation("none")


def test_a_fleet_refuses_products_that_are_not_its_own(bench: Workbench) -> None:
    fleet = a_fleet("default", all_products=False)
    fleet.products.add(a_product())
    row = a_job(JobSpec("build", commands="true"))
    with pytest.raises(SetupError, match=f"does not work for {row.belt_run.belt.product.name}"):
        built(row, bench)


def test_fleet_of_no_product_refuses_all(bench: Workbench) -> None:
    row = a_job(JobSpec("build", commands="true"))
    product = row.belt_run.belt.product
    fleet = a_fleet("default", all_products=False)
    fleet.products.add(product)
    fleet.products.remove(product)
    with pytest.raises(SetupError, match=f"does not work for {product.name}"):
        built(row, bench)


def test_bench_gives_each_run_what_is_its_own(bench: Workbench) -> None:
    rows = [a_job(JobSpec("build", commands=f"echo {n}")) for n in range(2)]
    for row in [*rows, a_job(JobSpec("build", commands="echo 2"))]:
        assignment = built(row, bench)
        assert assignment.facts["RUN_ID"] == str(row.belt_run_id)
        assert assignment.facts["PRODUCT"] == row.belt_run.belt.product.name
    assert assignment.script == "echo 2"


def test_bench_reads_fleets_again_after_five_seconds(bench: Workbench) -> None:
    rows = [a_job(JobSpec("build", commands="true")) for _ in range(3)]
    fleet = a_fleet("default", job_path="/opt/tools")
    assert built(rows[0], bench).path == "/opt/tools"
    fleet.job_path = "/opt/newer"
    fleet.save()
    assert built(rows[1], bench).path == "/opt/tools"
    bench._read_at -= 6
    assert built(rows[2], bench).path == "/opt/newer"


def test_a_product_without_source_cannot_give_one(bench: Workbench) -> None:
    row = a_job(JobSpec("build", commands="true", inputs=(InputSpec("source"),)))
    with pytest.raises(SetupError, match="has no source") as refused:
        built(row, bench)
    assert refused.value.reason == "no-source"


def test_runs_with_code_of_a_fork_get_no_credentials(bench: Workbench) -> None:
    row = a_job(JobSpec("build", commands="true", credentials=("token",)), tainted=True)
    with pytest.raises(SetupError, match="code or values of a fork") as refused:
        built(row, bench)
    assert refused.value.reason == "credential-missing"


def test_run_that_becomes_tainted_gets_no_credentials_more(bench: Workbench) -> None:
    """The slot has worked on the run while it was untainted, and remembers it."""
    row = a_job(JobSpec("build", commands="true", credentials=("token",)))
    set_value(a_credential(row.belt_run.belt.product, name="token", kind="text"), "secret")
    first = claimed(row)
    assert build_assignment(first, bench).secret_values == (b"secret",)
    assert give_back_attempt(first.attempt_id, message="It is given back.")
    with moving(row.belt_run_id):
        taint(row.belt_run_id)
    with pytest.raises(SetupError, match="code or values of a fork"):
        built(row, bench)


def test_runs_with_code_of_a_fork_are_isolated_as_others(bench: Workbench) -> None:
    row = a_job(JobSpec("build", commands="true"), tainted=True)
    assert built(row, bench).isolation.level == "uid"


def test_runs_with_code_of_a_fork_do_not_run_without_isolation(bench: Workbench) -> None:
    a_fleet("default", root_jobs=True)
    row = a_job(JobSpec("build", commands="true"), tainted=True)
    with pytest.raises(SetupError, match="run in isolation only"):
        built(row, bench)
