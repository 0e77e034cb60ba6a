"""``manage.py list_wrong_skips``: runs of early versions that ended without running some jobs."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command

from runs.models import BeltRun, JobRun
from runs.rerun import rerun_belt_run
from tests.engine import Worker, job_of, start_text, states, work_off

pytestmark = [pytest.mark.django_db, pytest.mark.database]

JOIN = """
    product: u
    belts:
      - name: b
        jobs:
          - {name: r, commands: sleep 2}
          - {name: q, inputs: r, commands: "true"}
          - {name: p, commands: "true"}
          - {name: j, inputs: [p, q], commands: "true"}
          - {name: after, inputs: j, commands: "true"}
"""


def listed() -> str:
    out = StringIO()
    call_command("list_wrong_skips", stdout=out)
    return out.getvalue()


def a_wrongly_ended_run() -> BeltRun:
    """Return a run as versions before the fix left it."""
    run = start_text(JOIN)
    work_off(Worker())
    JobRun.objects.filter(belt_run=run, name__in=["q", "j", "after"]).update(
        state="skipped", reason="upstream-failed", message="", last_attempt=0, attempts_made=0
    )
    return run


def test_command_names_runs_with_wrong_skips_and_their_jobs() -> None:
    run = a_wrongly_ended_run()
    said = listed()
    assert f"{run} of " in said
    assert "ended as succeeded without running q, j, after" in said
    assert str(run.id) in said
    assert "1 belt run ended with wrongly skipped jobs." in said


def test_command_lists_no_run_whose_skips_have_a_cause() -> None:
    run = start_text(JOIN)
    worker = Worker()
    worker.do(run, "r", "failed")
    worker.do(run, "p")
    assert states(run)["after"] == "skipped"
    assert listed() == "No belt run ended with wrongly skipped jobs.\n"


def test_skip_behind_a_wrong_skip_and_a_failure_has_a_cause() -> None:
    run = a_wrongly_ended_run()
    JobRun.objects.filter(belt_run=run, name="p").update(state="failed")
    assert "without running q:" in listed()


def test_rerun_of_what_did_not_succeed_runs_the_wrongly_skipped_jobs() -> None:
    run = a_wrongly_ended_run()
    again = rerun_belt_run(run, only_failed=True)
    assert states(again) == {
        "r": "succeeded",
        "q": "queued",
        "p": "succeeded",
        "j": "waiting",
        "after": "waiting",
    }
    work_off(Worker())
    assert job_of(again, "after").state == "succeeded"
