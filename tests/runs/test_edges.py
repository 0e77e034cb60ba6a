"""Edges and the runs that they start: from both sides, once each, and never without end."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from belts.models import Belt
from products.errors import PlatformError
from products.models import Configuration, OutboxRow, Product
from runs.cancel import cancel_job_run
from runs.downstream import start_downstream
from runs.models import BeltRun, Edge
from tests import builders
from tests.engine import (
    Worker,
    belt_named,
    deliver_all,
    edge_of,
    job_of,
    publish_text,
    runs_of,
    start,
    start_text,
    state,
    work_off,
)

pytestmark = [pytest.mark.django_db, pytest.mark.database]

IMAGE = """
    product: image
    belts:
      - name: bake
        jobs: [{name: bake, commands: bake}]
      - name: ship
        jobs: [{name: ship, commands: ship}]
"""


def gem(downstreams: str = "", *, of_a: str = "", of_b: str = "") -> str:
    return f"""
        product: gem
        belts:
          - name: build
            jobs:
              - {{name: a, commands: a{of_a}}}
              - {{name: b, commands: b{of_b}}}
            {downstreams}
    """


TO_IMAGE = ", downstreams: [{downstream-product: image, belts: bake}]"
BELT_TO_IMAGE = "downstreams: [{downstream-product: image, belts: bake}]"


def to_image(on: str) -> str:
    return f'downstreams: [{{downstream-product: image, belts: bake, "on": {on}}}]'


def listening(on: str = "") -> str:
    return f"""
        product: image
        triggers:
          - upstream-build: {{upstream-product: gem, upstream-belt: build{on}}}
            belts: bake
        belts:
          - name: bake
            jobs: [{{name: bake, commands: bake}}]
    """


# --- Planning -------------------------------------------------------------------------------------
def test_an_edge_declared_from_both_sides_is_one_and_starts_one_run() -> None:
    publish_text(listening())
    run = start_text(gem(BELT_TO_IMAGE))
    edge = Edge.objects.get()
    assert edge.declared == "downstreams of belt build"
    assert edge.merged == ["upstream-build trigger of image"]
    work_off(Worker())
    [downstream] = runs_of("image.bake")
    assert downstream.upstream_id == run.id
    assert downstream.cause == "After gem.build #1 (downstreams of belt build)."


def test_the_earliest_moment_of_several_declarations_counts() -> None:
    publish_text(listening())
    run = start_text(gem(BELT_TO_IMAGE, of_a=TO_IMAGE))
    edge = edge_of(run, "image.bake")
    assert (edge.declared, edge.after_jobs) == ("downstreams of job a", ["a"])
    assert len(edge.merged) == 2
    Worker().do(run, "a")
    deliver_all()
    assert len(runs_of("image.bake")) == 1
    assert state(run) == "running"
    work_off(Worker())
    assert len(runs_of("image.bake")) == 1


def test_two_jobs_that_name_one_downstream_belt_start_it_once_when_both_have_succeeded() -> None:
    publish_text(IMAGE)
    run = start_text(gem(of_a=TO_IMAGE, of_b=TO_IMAGE))
    worker = Worker()
    worker.do(run, "b")
    deliver_all()
    assert runs_of("image.bake") == []
    worker.do(run, "a")
    deliver_all()
    assert len(runs_of("image.bake")) == 1


def test_an_edge_to_several_belts_starts_each() -> None:
    publish_text(IMAGE)
    start_text(gem("downstreams: [{downstream-product: image, belts: [bake, ship]}]"))
    work_off(Worker())
    assert (len(runs_of("image.bake")), len(runs_of("image.ship"))) == (1, 1)


def test_edges_are_those_of_the_creation_and_later_declarations_wait_for_the_next_run() -> None:
    run = start_text(gem())
    publish_text(listening())
    publish_text(gem(BELT_TO_IMAGE))
    work_off(Worker())
    assert not run.edges.exists()
    assert runs_of("image.bake") == []
    start("gem.build")
    work_off(Worker())
    assert len(runs_of("image.bake")) == 1


def test_triggers_that_are_broken_or_of_an_archived_product_listen_to_nothing() -> None:
    publish_text(listening())
    Product.objects.filter(name="image").update(archived_at=Now())
    publish_text(listening().replace("product: image", "product: other"))
    Product.objects.get(name="other").triggers.update(broken="It names nothing.")
    run = start_text(gem())
    assert not run.edges.exists()


# --- Firing and closing ---------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("on", "outcome", "starts"),
    [
        ("success", "succeeded", True),
        ("success", "failed", False),
        ("failure", "failed", True),
        ("failure", "errored", True),
        ("failure", "succeeded", False),
        ("failure", "cancelled", False),
        ("cancelled", "cancelled", True),
        ("always", "succeeded", True),
        ("always", "failed", True),
        ("always", "cancelled", True),
        ("[success, failure]", "cancelled", False),
    ],
)
@pytest.mark.parametrize("side", ["upstream", "downstream"])
def test_on_says_after_which_ends_the_downstream_belt_starts(
    on: str, outcome: str, starts: bool, side: str
) -> None:
    publish_text(listening(f', "on": {on}') if side == "downstream" else IMAGE)
    run = start_text(gem(to_image(on) if side == "upstream" else ""))
    worker = Worker()
    worker.do(run, "a")
    worker.do(run, "b", outcome)
    deliver_all()
    assert len(runs_of("image.bake")) == starts
    edge = edge_of(run, "image.bake")
    assert bool(edge.fired_at) == starts
    assert bool(edge.closed_at) == (not starts)
    if not starts:
        assert f"this run is {outcome}" in edge.note


def test_a_jobs_downstream_belt_does_not_start_when_the_job_did_not_succeed() -> None:
    publish_text(IMAGE)
    run = start_text(gem(of_a=TO_IMAGE))
    worker = Worker()
    cancel_job_run(job_of(run, "a"), by="Eve")
    assert edge_of(run, "image.bake").closed_at is None
    worker.do(run, "b")
    deliver_all()
    assert runs_of("image.bake") == []
    assert edge_of(run, "image.bake").note == "It was to start after job a, which is cancelled."


def test_do_not_continue_downstream_closes_every_edge_at_once_with_a_sentence() -> None:
    publish_text(listening())
    run = start_text(gem(BELT_TO_IMAGE, of_a=TO_IMAGE), continue_downstream=False)
    edge = edge_of(run, "image.bake")
    assert edge.closed_at is not None
    assert "do not continue downstream" in edge.note
    work_off(Worker())
    assert runs_of("image.bake") == []


def test_an_edge_fires_with_one_row_in_the_outbox_however_often_the_run_is_looked_at() -> None:
    publish_text(IMAGE)
    run = start_text(gem(BELT_TO_IMAGE))
    worker = Worker()
    worker.do(run, "a")
    worker.do(run, "b")
    row = OutboxRow.objects.get(kind="downstream")
    edge = edge_of(run, "image.bake")
    assert row.payload == {"edge": str(edge.id)}
    first = start_downstream(edge.id)
    assert first is not None
    assert start_downstream(edge.id) is None
    deliver_all()
    assert runs_of("image.bake") == [first]
    assert edge_of(run, "image.bake").started_id == first.id


def test_a_start_that_died_before_the_edge_knew_of_it_is_found_again_even_at_the_limit() -> None:
    publish_text(IMAGE)
    run = start_text(gem(BELT_TO_IMAGE))
    work_off(Worker())
    [downstream] = runs_of("image.bake")
    Edge.objects.update(started=None)
    Configuration.objects.create(pk=1, max_runs_per_root=2)
    again = start_downstream(edge_of(run, "image.bake").id)
    assert again is not None
    assert again.id == downstream.id
    assert edge_of(run, "image.bake").started_id == downstream.id
    assert edge_of(run, "image.bake").closed_at is None


# --- What cannot be started -----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("missing", "There is no belt image.bake here."),
        ("archived belt", "The belt image.bake is archived"),
        ("archived product", "The product image is archived. Restore it in the admin, Products"),
        ("no definition", "image"),
    ],
)
def test_an_edge_to_what_cannot_be_started_is_closed_with_the_sentence_why(
    how: str, says: str
) -> None:
    if how == "no definition":
        builders.a_belt("bake", product=builders.a_product("image"))
    elif how != "missing":
        publish_text(IMAGE)
    run = start_text(gem(BELT_TO_IMAGE))
    if how == "archived belt":
        Belt.objects.filter(name="bake").update(archived_at=Now())
    if how == "archived product":
        Product.objects.filter(name="image").update(archived_at=Now())
    work_off(Worker())
    edge = edge_of(run, "image.bake")
    assert edge.fired_at is not None
    assert edge.closed_at is not None
    assert says in edge.note
    assert not OutboxRow.objects.exists()
    assert state(run) == "succeeded"


def test_a_downstream_source_that_cannot_be_read_is_tried_again_for_an_hour() -> None:
    publish_text(IMAGE)
    product = Product.objects.get(name="image")
    builders.a_source(product, url="https://no-such-host.invalid/image.git")
    run = start_text(gem(BELT_TO_IMAGE))
    worker = Worker()
    worker.do(run, "a")
    worker.do(run, "b")
    edge = edge_of(run, "image.bake")
    with pytest.raises(PlatformError, match=r"no-such-host\.invalid"):
        start_downstream(edge.id)
    assert edge_of(run, "image.bake").closed_at is None
    Edge.objects.update(fired_at=Now() - timedelta(hours=2))
    assert start_downstream(edge.id) is None
    assert "no-such-host.invalid" in edge_of(run, "image.bake").note


# --- Chains without end ---------------------------------------------------------------------------
LOOP = """
    product: loop
    belts:
      - name: round
        jobs: [{name: go, commands: go}]
        downstreams: [{downstream-product: loop, belts: round}]
"""


def test_a_loop_stops_at_the_depth_that_the_site_allows_and_says_why() -> None:
    Configuration.objects.create(pk=1, max_chain_depth=4)
    start_text(LOOP)
    work_off(Worker())
    runs = runs_of("loop.round")
    assert [run.depth for run in runs] == [0, 1, 2, 3, 4]
    assert {run.root_id for run in runs[1:]} == {runs[0].id}
    note = edge_of(runs[-1], "loop.round").note
    assert note == (
        "The chain is 4 hops long already and may have 4. Do its belts start one another in a loop?"
    )


def test_what_begins_with_one_run_leads_to_no_more_than_the_site_allows() -> None:
    Configuration.objects.create(pk=1, max_runs_per_root=5, max_chain_depth=50)
    text = """
        product: wide
        belts:
          - name: one
            jobs: [{name: go, commands: go}]
            downstreams: [{downstream-product: wide, belts: [one, two]}]
          - name: two
            jobs: [{name: go, commands: go}]
            downstreams: [{downstream-product: wide, belts: [one, two]}]
    """
    start_text(text)
    work_off(Worker())
    assert BeltRun.objects.count() == 5
    notes = set(Edge.objects.exclude(note="").values_list("note", flat=True))
    assert len(notes) == 1
    assert "has led to 5 already, and may lead to 5" in notes.pop()


def test_another_chain_is_not_hindered_by_one_at_its_limit() -> None:
    Configuration.objects.create(pk=1, max_chain_depth=2)
    start_text(LOOP)
    work_off(Worker())
    start("loop.round")
    work_off(Worker())
    assert BeltRun.objects.filter(belt=belt_named("loop.round")).count() == 6
