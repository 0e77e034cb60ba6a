"""Post-run: a second shell after the first tree is dead."""

from __future__ import annotations

import pytest

from runners.executor.shapes import OutputWord
from tests.runners.executor.attempts import Lab, new_token, sleepers

POST = 'echo "post $CONVEYOR_STATUS $(cat left-over 2>/dev/null)"'


@pytest.mark.parametrize("shell", ["bash", "sh"])
@pytest.mark.parametrize(
    ("script", "status", "outcome"),
    [("true", "succeeded", "succeeded"), ("exit 3", "failed", "failed")],
)
def test_post_run_sees_how_the_commands_ended(
    lab: Lab, shell: str, script: str, status: str, outcome: str
) -> None:
    result = lab.run(f"echo kept > left-over; {script}", language=shell, post_run=POST)
    assert f"post {status} kept\n" in lab.reporter.text("stdout")
    assert result.outcome == outcome


def test_post_run_follows_a_timeout_once_the_first_tree_is_dead(lab: Lab) -> None:
    token = new_token()
    script = (
        f"trap '' TERM; (trap '' TERM; setsid sleep {token}) & echo begun; sleep {token}; sleep 9"
    )
    post_run = f'{POST}; ps ax | grep -c "[s]leep {token}" || :'
    result = lab.run(script, timeout_s=0.5, post_run=post_run)
    assert "post timed-out \n0\n" in lab.reporter.text("stdout")
    assert (result.reason, sleepers(token)) == ("timed-out", [])


def test_post_run_follows_a_cancel(lab_of_each_level: Lab) -> None:
    lab = lab_of_each_level
    lab.reporter.on("begun", lab.reporter.cancel_it)
    result = lab.run("echo begun; sleep 60", post_run=f"sleep 0.2; {POST}")
    assert "post cancelled" in lab.reporter.text("stdout")
    assert result.outcome == "cancelled"


def test_post_run_can_fail_a_success_and_outputs_stay(lab: Lab) -> None:
    result = lab.run("X=1", post_run="exit 5", outputs=(OutputWord("X"),))
    assert (result.outcome, result.reason, result.exit_code) == ("failed", "post-run", 0)
    assert result.message == "The commands succeeded, but post-run ended with exit status 5."
    assert result.outputs == {"X": "1"}


def test_post_run_never_makes_a_failure_better_or_other(lab: Lab) -> None:
    for post_run in ("true", "exit 5"):
        result = lab.run("exit 3", post_run=post_run)
        assert (result.outcome, result.reason, result.exit_code) == ("failed", "exit-status", 3)
    assert "Post-run did not succeed (exit status 5)." in lab.reporter.text("control")


def test_post_run_has_a_timeout_of_its_own(lab: Lab) -> None:
    token = new_token()
    post_run = f"trap '' TERM; sleep {token}; sleep {token}"
    result = lab.run("true", post_run=post_run, post_run_timeout_s=0.3)
    assert (result.outcome, result.reason) == ("failed", "post-run")
    assert "post-run ran longer than its timeout of 0.3 s" in result.message
    assert sleepers(token) == []


def test_post_run_cannot_change_the_outputs(lab: Lab) -> None:
    post_run = 'X=2; echo X=2 > "$CONVEYOR_OUTPUT"; echo 2 > "${CONVEYOR_OUTPUT%/*}/X"'
    assert lab.run("X=1", post_run=post_run, outputs=(OutputWord("X"),)).outputs == {"X": "1"}


def test_a_missing_output_is_a_failure_to_post_run(lab: Lab) -> None:
    result = lab.run("true", post_run=POST, outputs=(OutputWord("X"),))
    assert "post failed" in lab.reporter.text("stdout")
    assert result.reason == "output-missing"


def test_a_cancel_during_post_run_ends_it(lab: Lab) -> None:
    lab.reporter.on("after", lab.reporter.cancel_it)
    result = lab.run("true", post_run="echo after; sleep 60")
    assert (result.outcome, result.reason) == ("cancelled", "cancel-requested")


def test_a_failed_job_stays_failed_when_its_post_run_is_cancelled(lab: Lab) -> None:
    lab.reporter.on("after", lab.reporter.cancel_it)
    result = lab.run("exit 3", post_run="echo after; sleep 60")
    assert (result.outcome, result.reason, result.exit_code) == ("failed", "exit-status", 3)


def test_no_post_run_after_a_refused_start_or_a_broken_setup(lab: Lab) -> None:
    lab.reporter.may_start = False
    lab.run("true", post_run=POST)
    lab.run("true", post_run=POST, working_directory="nowhere")
    assert "post" not in lab.reporter.text("stdout")


def test_a_post_run_that_cannot_be_started_is_told_with_the_reason(lab: Lab) -> None:
    result = lab.run('rmdir "$CONVEYOR_WORKSPACE"', post_run=POST)
    assert (result.outcome, result.reason) == ("failed", "post-run")
    assert result.message.startswith(
        "The commands succeeded, but post-run could not be started: could not enter the folder /"
    )
    assert result.message.endswith(": No such file or directory.")


def test_a_python_job_has_a_python_post_run(lab: Lab) -> None:
    post_run = "import os; print(os.environ['CONVEYOR_STATUS'])"
    result = lab.run("raise SystemExit(2)", language="python", post_run=post_run)
    assert (result.exit_code, lab.reporter.text("stdout")) == (2, "failed\n")


def test_cancelled_post_run_names_who_cancelled(lab: Lab) -> None:
    lab.reporter.on("cleaning", lab.reporter.cancel_it)
    lab.run("echo hi", post_run="echo cleaning; sleep 60")
    assert "Post-run did not succeed (cancelled by anna)." in lab.reporter.text("control")
