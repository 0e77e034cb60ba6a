"""Starting a belt: everything is made at once, numbered, and frozen."""

from __future__ import annotations

import pytest

from belts.errors import NoDefinitionError
from belts.models import Belt
from belts.spec.limits import PROBLEMS
from products.models import Configuration, OutboxRow
from runs.creation import NewRun, create_belt_run
from runs.errors import (
    BeltArchivedError,
    BeltMissingError,
    NoSourceToRefError,
    ParameterError,
    UnresolvedError,
)
from runs.models import BeltRun, JobRun, RunEvent
from tests import builders
from tests.engine import (
    Worker,
    belt_named,
    consumed,
    job_of,
    publish_text,
    start,
    start_text,
    state,
    states,
)

pytestmark = [pytest.mark.django_db, pytest.mark.database]

GEM = """
    product: gem
    belts:
      - name: build
        env: {MODE: fast}
        jobs:
          - {name: compile, commands: make, queue: big, timeout: 10m, outputs: [{String: FILE}]}
          - {name: check, inputs: compile, commands: make check}
          - {name: pack, commands: "pack ${compile.FILE}", inputs: check}
          - {name: lint, commands: make lint}
"""


def test_every_job_run_is_made_at_once_and_those_without_needs_are_queued() -> None:
    run = start_text(GEM)
    assert states(run) == {
        "compile": "queued",
        "check": "waiting",
        "pack": "waiting",
        "lint": "queued",
    }
    assert state(run) == "pending"
    assert [row.position for row in run.job_runs.order_by("position")] == [0, 1, 2, 3]
    assert sorted(job_of(run, "pack").needs) == ["check", "compile"]


def test_a_queued_job_run_has_a_hint_in_the_outbox_and_a_waiting_one_says_for_what() -> None:
    run = start_text(GEM)
    hinted = {row.payload["job_run"] for row in OutboxRow.objects.filter(kind="hint")}
    assert hinted == {str(job_of(run, name).id) for name in ("compile", "lint")}
    assert job_of(run, "check").message == "Waits for job compile."


def test_queue_and_timeout_are_the_jobs_own_or_the_sites() -> None:
    Configuration.objects.create(
        pk=1, default_queue="small", default_timeout_s=120, max_timeout_s=300
    )
    run = start_text(GEM)
    compile_, lint = job_of(run, "compile"), job_of(run, "lint")
    assert (compile_.queue, compile_.timeout_s) == ("big", 300)
    assert (lint.queue, lint.timeout_s) == ("small", 120)


def test_runs_of_a_belt_are_numbered_from_one() -> None:
    publish_text(GEM)
    assert [start("gem.build").number for _ in range(3)] == [1, 2, 3]


def test_a_run_keeps_the_definition_with_which_it_was_created() -> None:
    run = start_text(GEM)
    publish_text(GEM.replace("make check", "make other").replace("name: lint", "name: tidy"))
    assert start("gem.build").definition_id != run.definition_id
    run.refresh_from_db()
    Worker().do(run, "lint")
    assert states(run)["lint"] == "succeeded"


def test_cause_and_user_are_stored() -> None:
    publish_text(GEM)
    user = builders.a_user("eve")
    run = start("gem.build", user=user, by="")
    assert (run.started_by, run.cause) == (user, "Started by eve.")
    event = RunEvent.objects.filter(belt_run=run, job_run=None).get()
    assert (event.new, event.reason, event.by) == ("pending", "created", "eve")
    assert start("gem.build", by="").cause == "Started by somebody."


def test_a_run_begins_with_an_event_for_it_and_each_of_its_job_runs() -> None:
    run = start_text(GEM)
    events = RunEvent.objects.filter(belt_run=run, old="").order_by("id")
    assert [event.job_run.name if event.job_run else None for event in events] == [
        None,
        "compile",
        "check",
        "pack",
        "lint",
    ]


def test_parameters_are_stored_with_the_run() -> None:
    publish_text(GEM)
    run = start("gem.build", parameters={"VERSION": "1.0'; $(rm)"})
    assert BeltRun.objects.get(id=run.id).parameters == {"VERSION": "1.0'; $(rm)"}


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"no name": "1"}, "'no name' cannot name a parameter"),
        ({"": "1"}, "cannot name a parameter"),
        ({"Ä": "1"}, "cannot name a parameter"),
        ({"PATH": "1"}, "PATH is reserved"),
        ({"CONVEYOR_JOB": "1"}, "CONVEYOR_JOB is reserved"),
        ({"A": "x" * 40_000}, "longer than 32768 bytes"),
        ({"A": "x\0y"}, r"value of A cannot be kept. Leave out the character U\+0000, which no"),
        ({"A": "\udcff"}, r"value of A cannot be kept. Leave out the character U\+DCFF, which no"),
        ({"S\ud800": "y"}, r"cannot name a parameter. Leave out the character U\+D800, which no"),
        ({f"A{n}": "" for n in range(65)}, "at most 64 parameters, not 65"),
    ],
)
def test_a_parameter_that_no_variable_can_have_is_refused(
    parameters: dict[str, str], says: str
) -> None:
    publish_text(GEM)
    with pytest.raises(ParameterError, match=says):
        start("gem.build", parameters=parameters)
    assert not BeltRun.objects.exists()


def test_a_ref_that_is_no_text_is_refused() -> None:
    publish_text(GEM)
    with pytest.raises(ParameterError, match=r"Leave out the character U\+DCFF, which no text"):
        start("gem.build", ref="a\udcff")
    assert not BeltRun.objects.exists()


def test_a_belt_or_product_that_is_archived_is_not_started() -> None:
    publish_text(GEM)
    publish_text(GEM.replace("name: build", "name: other"))
    with pytest.raises(BeltArchivedError, match=r"gem\.build is archived"):
        start("gem.build")


def test_a_belt_that_the_definition_lacks_is_refused_with_those_that_it_has() -> None:
    product = publish_text(GEM)
    stray = Belt.objects.create(product=product, name="stray")
    with pytest.raises(BeltMissingError, match=r"gem has no belt stray .* Its belts there: build"):
        start("gem.stray")
    assert not stray.runs.exists()


def test_a_ref_for_a_product_without_a_source_and_a_product_without_definition_are_refused() -> (
    None
):
    publish_text(GEM)
    with pytest.raises(NoSourceToRefError, match="gem has no source, so there is no ref main"):
        start("gem.build", ref="main")
    belt = builders.a_belt("b", product=builders.a_product("bare"))
    with pytest.raises(NoDefinitionError):
        start(f"bare.{belt.name}")


DANGLING = """
    product: image
    belts:
      - name: build
        jobs:
          - {name: bake, commands: "bake ${gem.build.NO_SUCH}"}
          - {name: tell, commands: "true"}
"""


def test_a_reference_to_nothing_is_refused_for_a_person_and_nothing_is_made() -> None:
    publish_text(GEM)
    publish_text(DANGLING)
    with pytest.raises(UnresolvedError, match="NO_SUCH") as caught:
        start("image.build")
    assert caught.value.problems
    assert not BeltRun.objects.exists()
    assert Belt.objects.get(product__name="image").last_number == 0


def test_unresolved_reference_makes_an_errored_run_without_a_caller() -> None:
    publish_text(GEM)
    publish_text(DANGLING)
    belt = belt_named("image.build")
    run = create_belt_run(NewRun(belt, belt.product.definitions.get(), cause="An event."))
    assert (run.state, states(run)) == ("errored", {"bake": "errored", "tell": "skipped"})
    bake = job_of(run, "bake")
    assert bake.reason == "input-missing"
    assert "NO_SUCH" in bake.message
    assert "bake" in job_of(run, "tell").message


def test_one_event_makes_one_run_of_a_belt_and_one_upstream_run_one_of_each() -> None:
    publish_text(GEM)
    belt = belt_named("gem.build")
    definition = belt.product.definitions.get()
    event = builders.an_event(belt.product)
    upstream = builders.a_belt_run()
    for cause in ({"event_id": event.id}, {"upstream": upstream}):
        new = NewRun(belt, definition, cause="A cause.", **cause)
        assert create_belt_run(new).id == create_belt_run(new).id
    assert BeltRun.objects.filter(belt=belt).count() == 2
    belt.refresh_from_db()
    assert belt.last_number == 2


def test_a_downstream_run_knows_the_beginning_of_its_chain_and_stays_tainted() -> None:
    publish_text(GEM)
    belt = belt_named("gem.build")
    root = builders.a_belt_run(tainted=True)
    upstream = builders.a_belt_run(upstream=root, tainted=True)
    new = NewRun(belt, belt.product.definitions.get(), cause="After it.", upstream=upstream)
    run = create_belt_run(new)
    assert (run.root_id, run.depth, run.tainted) == (root.id, 2, True)


def test_a_job_that_takes_a_value_of_its_own_belt_receives_it_when_it_is_queued() -> None:
    run = start_text(GEM)
    worker = Worker(queues=("big", "default"))
    worker.do(run, "compile", FILE="a.gem")
    assert consumed(run, "pack") == {}
    worker.do(run, "check")
    assert consumed(run, "pack") == {"compile.FILE": "a.gem"}
    assert JobRun.objects.get(belt_run=run, name="pack").state == "queued"


def test_the_problems_of_a_belt_that_is_refused_are_not_more_than_a_file_may_have() -> None:
    publish_text(GEM)
    commands = " ".join(f"${{gem.build.compile.NO{each}}}" for each in range(60))
    jobs = "".join(f"  - {{name: j{each}, commands: 'x {commands}'}}\n" for each in range(9))
    publish_text(f"product: mine\nbelts:\n- name: b\n  jobs:\n{jobs}")
    with pytest.raises(UnresolvedError) as refused:
        start("mine.b")
    assert PROBLEMS <= len(refused.value.problems) < PROBLEMS + 60
