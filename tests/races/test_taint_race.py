"""A mark of taint against claims and new downstream runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Event

import pytest

from runs.attempts import Claim
from runs.downstream import start_downstream
from runs.models import BeltRun
from runs.taint import taint
from runs.transitions import moving
from tests.engine import Worker, edge_of, publish_text, runs_of, start
from tests.races.locks import until_somebody_waits
from tests.waiting import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

GEM = """
    product: gem
    belts:
      - name: build
        jobs:
          - name: compile
            commands: make
            downstreams: [{downstream-product: site, belts: deploy}]
          - {name: check, commands: make check}
"""
SITE = """
    product: site
    belts: [{name: deploy, jobs: [{name: deploy, commands: deploy}]}]
"""


def while_it_is_marked(run: BeltRun, call: Callable[[], object]) -> object:
    """Return what the call returns, which begins after the mark and before its commit."""
    held = Event()

    def mark() -> None:
        with moving(run.id):
            taint(run.id)
            held.set()
            until_somebody_waits()

    def act() -> object:
        assert held.wait(10)
        return call()

    marked, result = at_once(mark, act)
    assert marked is None
    return result


def test_claim_waits_for_the_mark_and_has_it() -> None:
    publish_text(SITE)
    publish_text(GEM)
    run = start("gem.build")
    claim = while_it_is_marked(run, Worker().claim)
    assert isinstance(claim, Claim)
    assert claim.is_tainted


def test_new_downstream_run_waits_for_the_mark_and_inherits_it() -> None:
    publish_text(SITE)
    publish_text(GEM)
    run = start("gem.build")
    Worker().do(run, "compile")
    edge = edge_of(run, "site.deploy")
    made = while_it_is_marked(run, partial(start_downstream, edge.id))
    assert isinstance(made, BeltRun)
    assert made.tainted


def test_downstream_run_made_beside_the_mark_is_always_tainted() -> None:
    publish_text(SITE)
    publish_text(GEM)
    for _ in range(5):
        run = start("gem.build")
        Worker().do(run, "compile")

        def mark(belt_run: BeltRun = run) -> None:
            with moving(belt_run.id):
                taint(belt_run.id)

        edge = edge_of(run, "site.deploy")
        results = at_once(partial(start_downstream, edge.id), mark)
        assert not [each for each in results if isinstance(each, Exception)]
    assert [each.tainted for each in runs_of("site.deploy")] == [True] * 5


def test_claims_beside_marks_are_tainted_or_came_first() -> None:
    """The belt run counts its moves, so that they tell which of the two came first."""
    publish_text(SITE)
    publish_text(GEM)
    for _ in range(5):
        run = start("gem.build")
        marked_at: list[int] = []

        def mark(belt_run: BeltRun = run, moves: list[int] = marked_at) -> None:
            with moving(belt_run.id):
                taint(belt_run.id)
                moves.append(BeltRun.objects.get(id=belt_run.id).moves)

        claim_made, marked = at_once(Worker().claim, mark)
        assert marked is None
        assert isinstance(claim_made, Claim)
        # 2: nothing had moved before the mark, which is two moves.
        assert claim_made.is_tainted == (marked_at == [2])
        Worker().claim()
