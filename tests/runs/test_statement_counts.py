"""What the four moves of every job execute: each statement costs time for every job of a site.

Whoever adds a statement or a commit to one of them changes the lists here, and says why. The
statements of ``products.statements`` are among them: while queries are captured, it executes them
by Django's own cursor. The process is warm: it has the run, and a claim has its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from runs.models import BeltRun
from tests.engine import Worker, job_of, start_text, states

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

FILE = """
    product: gem
    belts:
      - name: build
        jobs:
          - {name: compile, commands: make, outputs: [{String: FILE}]}
          - {name: check, inputs: compile, commands: make check}
          - {name: pack, inputs: compile, commands: make pack, outputs: [{String: PACK}]}
          - {name: ship, commands: "ship ${pack.PACK}"}
"""
_TABLE = re.compile(r'"(\w+)"')


@pytest.fixture
def run() -> BeltRun:
    return start_text(FILE)


@pytest.fixture
def worker() -> Worker:
    return Worker()


def executed(call: Callable[[], object]) -> list[str]:
    """Return the statements of a call: the verb and the first table that is named."""
    with CaptureQueriesContext(connection) as seen:
        call()
    found = []
    for query in seen.captured_queries:
        table = _TABLE.search(query["sql"])
        verb = query["sql"].split(maxsplit=1)[0].rstrip(";")
        found.append(f"{verb} {table[1]}" if table else verb)
    return found


def test_claim_executes_no_other_statements(run: BeltRun, worker: Worker) -> None:
    row = job_of(run, "compile")
    assert executed(lambda: worker.claim(row)) == [
        "SELECT runs_jobrun",  # the oldest that may be claimed, with state and taint of its run
        "BEGIN",
        "UPDATE runs_beltrun",  # takes the run's row, if it is as untainted as it was read
        "UPDATE runs_jobrun",  # queued → starting
        "INSERT runs_attempt",
        "UPDATE runs_beltrun",  # pending → running, for the first claim of a run
        "INSERT runs_runevent",
        "COMMIT",
    ]


def test_later_claim_of_a_run_executes_one_statement_less(run: BeltRun, worker: Worker) -> None:
    worker.do(run, "compile", FILE="a.gem")
    assert executed(worker.claim) == [
        "SELECT runs_jobrun",
        "BEGIN",
        "UPDATE runs_beltrun",  # takes the run's row
        "UPDATE runs_jobrun",  # queued → starting
        "INSERT runs_attempt",
        "INSERT runs_runevent",
        "COMMIT",
    ]


def test_start_executes_no_other_statements(run: BeltRun, worker: Worker) -> None:
    claim = worker.claim(job_of(run, "compile"))
    assert claim is not None
    assert executed(lambda: worker.start(claim)) == [
        "BEGIN",
        "UPDATE runs_attempt",  # starting → running, with its lease and deadline
        "UPDATE runs_jobrun",  # starting → running
        "INSERT runs_runevent",
        "COMMIT",
    ]


def test_end_that_leaves_others_executes_no_other_statements(run: BeltRun, worker: Worker) -> None:
    worker.do(run, "compile", FILE="a.gem")
    attempt_id = worker.begun(run, "check")
    assert executed(lambda: worker.end(attempt_id)) == [
        "BEGIN",
        "UPDATE runs_beltrun",  # takes the run's row
        "SELECT runs_attempt",  # how attempt, job run and belt run stand
        "UPDATE runs_attempt",  # running → succeeded
        "UPDATE runs_jobrun",  # running → succeeded
        "INSERT runs_runevent",
        "COMMIT",
    ]
    assert states(run)["ship"] == "waiting"


def test_end_of_the_run_executes_two_statements_more(run: BeltRun, worker: Worker) -> None:
    for name in ("compile", "check", "pack"):
        worker.do(run, name, FILE="a.gem", PACK="a.tar")
    attempt_id = worker.begun(run, "ship")
    assert executed(lambda: worker.end(attempt_id)) == [
        "BEGIN",
        "UPDATE runs_beltrun",  # takes the run's row
        "SELECT runs_attempt",  # how attempt, job run and belt run stand
        "UPDATE runs_attempt",  # running → succeeded
        "UPDATE runs_jobrun",  # running → succeeded
        "SELECT runs_jobrun",  # the states of all jobs, which decide that of the run
        "UPDATE runs_beltrun",  # running → succeeded
        "INSERT runs_runevent",  # both moves
        "COMMIT",
    ]


def test_release_of_two_jobs_executes_no_other_statements(run: BeltRun, worker: Worker) -> None:
    attempt_id = worker.begun(run, "compile")
    assert executed(lambda: worker.end(attempt_id, outputs={"FILE": "a.gem"})) == [
        "BEGIN",
        "UPDATE runs_beltrun",  # takes the run's row
        "SELECT runs_attempt",  # how attempt, job run and belt run stand
        "UPDATE runs_attempt",  # running → succeeded
        "INSERT runs_output",  # the declared output
        "UPDATE runs_jobrun",  # compile: running → succeeded
        "SELECT runs_jobrun",  # those that need it, and what they need
        "UPDATE runs_jobrun",  # check: waiting → queued
        "UPDATE runs_jobrun",  # pack: waiting → queued
        "INSERT runs_runevent",  # the three moves
        "INSERT products_outboxrow",  # two hints
        "COMMIT",
    ]
    assert states(run) == {
        "compile": "succeeded",
        "check": "queued",
        "pack": "queued",
        "ship": "waiting",
    }


def test_release_with_a_value_executes_no_other_statements(run: BeltRun, worker: Worker) -> None:
    for name in ("compile", "check"):
        worker.do(run, name, FILE="a.gem")
    attempt_id = worker.begun(run, "pack")
    assert executed(lambda: worker.end(attempt_id, outputs={"PACK": "a.tar"})) == [
        "BEGIN",
        "UPDATE runs_beltrun",  # takes the run's row
        "SELECT runs_attempt",  # how attempt, job run and belt run stand
        "UPDATE runs_attempt",  # running → succeeded
        "INSERT runs_output",  # the declared output
        "UPDATE runs_jobrun",  # pack: running → succeeded
        "SELECT runs_jobrun",  # those that need it, and what they need
        "SELECT runs_supplier",  # how the suppliers stand, and whether they are tainted
        "SELECT runs_supplier",  # the suppliers with their runs, for the values
        "SELECT runs_jobrun",  # the job that handed on the value
        "SELECT runs_output",  # the value
        "INSERT runs_consumption",  # its copy
        "UPDATE runs_jobrun",  # ship: waiting → queued
        "INSERT runs_runevent",  # the two moves
        "INSERT products_outboxrow",  # a hint
        "COMMIT",
    ]
