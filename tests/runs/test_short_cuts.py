"""Short cuts of the engine against the plain way: what is read in part, before a lock, or not.

ARCHITECTURE.md lists all short cuts and the tests that notice when one is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from django.db.models.functions import Now

from products.identifiers import uuid7
from products.models import OutboxRow
from runs.attempts import candidates, claim_candidate
from runs.cancel import cancel_belt_run
from runs.chains import state_of, whole_chain
from runs.feeds import LogEvents
from runs.finish import finish_attempt, give_back_attempt
from runs.models import BeltRun, Edge, JobRun
from runs.reaper import settle_stragglers, write_hints_again
from runs.release import frozen_run, release_belt_run, run_in_state
from runs.rerun import rerun_belt_run
from runs.states import BeltRunState
from runs.transitions import moving
from tests import builders
from tests.architecture.tree import ROOT
from tests.engine import (
    Worker,
    an_end,
    deliver_all,
    job_of,
    pass_time,
    publish_text,
    runs_of,
    start,
    start_text,
    state,
    states,
)

pytestmark = [pytest.mark.django_db, pytest.mark.database]

BELT = """
    product: gem
    belts:
      - name: build
        jobs:
          - {name: first, commands: "true"}
          - {name: second, commands: "true"}
        downstreams: [{downstream-product: site, belts: deploy}]
"""

LIB = """
    product: lib
    belts:
      - name: make
        jobs:
          - name: early
            commands: make
            downstreams: [{downstream-product: site, belts: deploy}]
          - {name: late, commands: make, outputs: [{String: FILE}]}
          - {name: other, commands: make}
"""


def a_consumer(key: str, *, inputs: str = "") -> str:
    """Return the belt file of site, whose job refers to a value of lib in that key."""
    value = "${lib.make.late.FILE}"
    text = f"{{V: '{value}'}}" if key == "env" else f"use {value}"
    keys = {"inputs": f"[{inputs}]", "commands": "make", key: text}
    lines = "".join(f"\n            {name}: {each}" for name, each in keys.items())
    return f"""
    product: site
    belts:
      - name: deploy
        jobs:
          - name: deploy{lines}
    """


def test_tests_of_the_table_of_short_cuts_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text().partition("## Short cuts and the tests")[2]
    named = set(re.findall(r"`(test_\w+)`", text.partition("\n## ")[0]))
    assert len(named) > 15
    assert sorted(named - {path.stem for path in (ROOT / "tests").rglob("test_*.py")}) == []


# --- Candidates are read before the belt run is locked --------------------------------------------
def a_stale_claim(worker: Worker, change: Callable[[UUID], None]) -> object:
    """Read the oldest candidate, let ``change`` happen to its job run, then claim it."""
    [candidate, *_] = candidates(worker.facts, worker.queues)
    change(candidate.id)
    with moving(candidate.belt_run_id) as moves:
        return claim_candidate(moves, candidate, worker.facts, uuid7())


def test_candidate_that_was_claimed_and_replaced_meanwhile_is_not_claimed() -> None:
    run = start_text(BELT)
    worker, quicker = Worker(), Worker()

    def replace(_id: UUID) -> None:
        assert give_back_attempt(quicker.claimed(run, "first"), message="It ends.")

    assert a_stale_claim(worker, replace) is None
    assert job_of(run, "first").state == "queued"
    claim = worker.claim(job_of(run, "first"))
    assert claim is not None
    assert claim.number == 2


def test_candidate_whose_cancel_was_asked_for_meanwhile_is_not_claimed() -> None:
    start_text(BELT)

    def cancel(id_: UUID) -> None:
        JobRun.objects.filter(id=id_).update(cancel_requested_at=Now())

    assert a_stale_claim(Worker(), cancel) is None


def test_next_job_is_the_oldest_though_it_is_of_another_run() -> None:
    run = start_text(BELT)
    worker = Worker()
    attempt_id = worker.begun(run, "first")
    older = builders.a_queued_job_run(available_at=Now() - timedelta(days=1))
    told = finish_attempt(attempt_id, an_end(), claim_next=worker.wish())
    assert told.claim is not None
    assert told.claim.job_run_id == older.id


# --- What was not followed up ---------------------------------------------------------------------
def test_run_whose_jobs_all_ended_unseen_is_settled_and_fires_its_edge() -> None:
    """No job ends in the transaction that looks, so the end of the run alone moves the edge."""
    run = start_text(BELT)
    JobRun.objects.filter(belt_run=run).update(
        state="succeeded", reason="finished", finished_at=Now()
    )
    BeltRun.objects.filter(id=run.id).update(state="running", started_at=Now())
    assert settle_stragglers() == 1
    assert state(run) == "succeeded"
    assert Edge.objects.get(upstream=run).fired_at is not None


def test_new_run_and_its_repeat_are_looked_at_again_for_their_suppliers() -> None:
    """A supplier that ends while they are created may not see that they wait for it."""
    publish_text(LIB)
    lib = start("lib.make")
    Worker().do(lib, "late", "failed")
    run = start_text(a_consumer("commands", inputs="{from: lib.make, build: last}"))
    cancel_belt_run(lib, by="somebody")
    deliver_all()
    assert states(run) == {"deploy": "errored"}
    again = rerun_belt_run(run)
    told = OutboxRow.objects.filter(kind=OutboxRow.Kind.RELEASE)
    assert [each.payload["belt_run"] for each in told] == [str(again.id)]
    later = start("site.deploy")
    assert [each.payload["belt_run"] for each in told.order_by("id")] == [
        str(again.id),
        str(later.id),
    ]


def test_readings_of_one_run_are_independent() -> None:
    """They share what never changes; each call reads the rest again."""
    run = start_text(BELT)
    first = run_in_state(run.id, BeltRunState.PENDING, None, tainted=False)
    second = run_in_state(run.id, BeltRunState.SUCCEEDED, run.created_at, tainted=True)
    assert (first.state, first.cancel_requested_at) == ("pending", None)
    assert (second.state, second.cancel_requested_at) == ("succeeded", run.created_at)
    assert (first.tainted, second.tainted) == (False, True)
    assert (frozen_run(run.id).state, first.belt, second.belt) == ("pending", run.belt, run.belt)


def test_job_with_a_missed_end_of_its_supplier_is_found() -> None:
    """The suppliers' run goes on, so that only the end of the job says that nothing is missing."""
    publish_text(LIB)
    lib = start("lib.make")
    run = start_text(a_consumer("commands", inputs="{from: lib.make, build: last}"))
    worker = Worker()
    worker.do(lib, "late", FILE="a.tar")
    OutboxRow.objects.all().delete()
    assert (state(lib), states(run)) == ("running", {"deploy": "waiting"})
    assert settle_stragglers() == 1
    assert states(run) == {"deploy": "queued"}


@pytest.mark.parametrize("key", ["env", "pre-run", "commands", "post-run"])
def test_job_waits_for_a_value_that_it_only_refers_to(key: str) -> None:
    """It names no input: its supplier is the run that started it and that goes on."""
    publish_text(a_consumer(key))
    publish_text(LIB)
    lib = start("lib.make")
    worker = Worker()
    worker.do(lib, "early")
    deliver_all()
    [run] = runs_of("site.deploy")
    assert not release_belt_run(run.id)
    assert states(run) == {"deploy": "waiting"}
    worker.do(lib, "late", FILE="a.tar")
    deliver_all()
    assert states(run) == {"deploy": "queued"}


def test_job_that_waits_for_its_delay_is_not_announced_again() -> None:
    run = start_text(BELT)
    pass_time(1000)
    JobRun.objects.filter(belt_run=run, name="first").update(available_at=Now() + timedelta(days=1))
    assert write_hints_again() == 1
    assert job_of(run, "first").hinted_at is None
    assert job_of(run, "second").hinted_at is not None


# --- What watchers see ----------------------------------------------------------------------------
def test_chain_is_open_until_its_fired_edge_has_started_a_run() -> None:
    run = start_text(BELT)
    worker = Worker()
    worker.do(run, "first")
    worker.do(run, "second")
    assert state(run) == "succeeded"
    assert state_of(whole_chain(run)).is_open
    Edge.objects.filter(upstream=run).update(closed_at=Now())
    assert not state_of(whole_chain(run)).is_open


def test_log_of_an_ended_attempt_is_sent_before_the_end() -> None:
    """A look reads a few pieces, and the job run has ended before the first one."""
    attempt = builders.an_attempt(builders.a_job_run("succeeded"), "succeeded")
    builders.a_log(attempt, *[f"line {n}\n" for n in range(40)])
    feed = LogEvents(attempt.job_run_id, number=1, after=-1)
    looks = [feed.look()]
    while not looks[-1].ended:
        looks.append(feed.look())
    told = b"".join(each.data for each in looks).decode()
    assert [n for n in range(40) if f"line {n}\\n" not in told] == []
    assert told.count("event: end") == 1


def test_reader_who_comes_again_gets_a_character_that_was_cut() -> None:
    """The first half of the character is in the piece that the reader has seen."""
    attempt = builders.an_attempt(builders.a_job_run("running"), "running")
    builders.a_log(attempt, b"price \xe2\x82", b"\xac 5\n")
    told = LogEvents(attempt.job_run_id, number=1, after=0).look().data.decode()
    assert "\\u20ac 5" in told
