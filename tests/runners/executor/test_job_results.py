"""How an attempt ends: its own way, by time, by order, or before it began."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runners.executor.run import run_assignment
from runners.executor.shapes import SecretFile, Timing
from runners.executor.supervisors import Supervisors
from runners.executor.zygote import ZygoteClient, ZygoteGoneError
from runners.supervisor.kernel import boot_now
from tests.runners.executor.attempts import Lab, Recorder, new_token, sleepers

SHELLS = ["bash", "sh"]


def test_a_job_that_does_nothing_succeeds_and_leaves_nothing(lab_of_each_level: Lab) -> None:
    lab = lab_of_each_level
    result = lab.run("true")
    assert (result.outcome, result.reason, result.message, result.exit_code) == (
        "succeeded",
        "",
        "",
        0,
    )
    assert lab.reporter.starts == 1
    assert list(lab.work_dir.iterdir()) == []


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("exit 3", 3),
        ("false\necho not reached", 1),
        ("no-such-command", 127),
        ("f() { false; echo no; }; f", 1),
        ("echo 'unclosed", 2),
        ("set +e; false; sh -c 'exit 7'", 7),
    ],
)
def test_a_failing_command_ends_the_job_with_its_status(
    lab: Lab, shell: str, script: str, code: int
) -> None:
    result = lab.run(script, language=shell)
    if (shell, code) == ("bash", 2):
        code = result.exit_code or 0  # The status of a syntax error is bash's affair.
        assert code != 0
    assert (result.outcome, result.reason, result.exit_code) == ("failed", "exit-status", code)
    assert result.message.startswith(f"The commands ended with exit status {code}")
    assert "not reached" not in lab.reporter.text()


def test_a_failing_part_of_a_pipe_fails_a_bash_job(lab: Lab) -> None:
    assert lab.run("false | true").exit_code == 1
    assert lab.run("false | true", language="sh").outcome == "succeeded"


def test_messages_of_the_shell_give_the_authors_line_numbers(lab: Lab) -> None:
    lab.run("true\ntrue\nno-such-command")
    assert "line 3: no-such-command" in lab.reporter.text("stderr")


def test_a_job_that_kills_itself_is_told_with_its_signal(lab_of_each_level: Lab) -> None:
    result = lab_of_each_level.run("kill -KILL $$")
    assert (result.outcome, result.reason, result.exit_code) == ("failed", "exit-status", 137)


def test_the_streams_are_kept_apart_and_the_log_is_whole(lab: Lab) -> None:
    result = lab.run("echo out; echo err >&2")
    assert (lab.reporter.text("stdout"), lab.reporter.text("stderr")) == ("out\n", "err\n")
    assert result.log_bytes == len(lab.reporter.bytes())


def test_a_shell_that_the_runner_lacks_is_named_with_its_path(lab: Lab, tmp_path: Path) -> None:
    result = lab.run("true", path=str(tmp_path))
    assert (result.outcome, result.reason, lab.reporter.starts) == ("errored", "setup", 0)
    assert f"no bash on the job PATH of this runner ({tmp_path})" in result.message


def test_a_timeout_ends_a_job_that_ignores_term(lab_of_each_level: Lab) -> None:
    token = new_token()
    result = lab_of_each_level.run(
        f"trap '' TERM; echo begun; sleep {token} & wait; sleep {token}", timeout_s=0.5
    )
    assert (result.outcome, result.reason, result.exit_code) == ("failed", "timed-out", None)
    assert result.message == "The job ran longer than its timeout of 0.5 s."
    assert result.message in lab_of_each_level.reporter.text("control")
    assert sleepers(token) == []


def test_a_job_may_clean_up_within_the_grace(lab_of_each_level: Lab) -> None:
    script = "trap 'echo tidy; exit 0' TERM; echo begun; while :; do sleep 0.05; done"
    result = lab_of_each_level.run(script, timeout_s=0.6)
    assert "tidy" in lab_of_each_level.reporter.text()
    assert (result.outcome, result.reason) == ("failed", "timed-out")


def test_a_cancelled_job_ends_and_says_by_whom(lab_of_each_level: Lab) -> None:
    lab, token = lab_of_each_level, new_token()
    lab.reporter.on("begun", lab.reporter.cancel_it)
    result = lab.run(f"trap '' TERM; echo begun; sleep {token}; sleep {token}")
    assert (result.outcome, result.reason) == ("cancelled", "cancel-requested")
    assert result.message == "Cancelled by anna."
    assert sleepers(token) == []


def test_a_runner_that_has_to_stop_ends_the_job_as_lost(lab: Lab) -> None:
    lab.reporter.on("begun", lab.reporter.stop_it)
    result = lab.run("echo begun; sleep 60", post_run="echo after")
    assert (result.outcome, result.reason) == ("errored", "runner-lost")
    assert "the drain limit of 5 s is over" in result.message
    assert "after" not in lab.reporter.text()


@pytest.mark.parametrize("how", ["orders", "log"])
def test_a_fenced_attempt_is_killed_without_a_word(lab: Lab, how: str) -> None:
    token = new_token()
    if how == "orders":
        lab.reporter.on("begun", lab.reporter.lose_it)
    else:
        lab.reporter.refuse_log = True
    result = lab.run(f"trap '' TERM; echo begun; sleep {token}; sleep {token}", post_run="echo x")
    assert (result.outcome, result.last_chunks) == ("fenced", ())
    assert sleepers(token) == []


def test_a_job_lives_as_long_as_renewals_are_told(lab: Lab) -> None:
    timing = Timing(silence_term_s=1.0, silence_kill_s=1.2, orders_s=0.05)
    assert lab.run("sleep 1.5", timing=timing).outcome == "succeeded"


def test_a_job_dies_when_renewals_fail_though_its_slot_lives(lab_of_each_level: Lab) -> None:
    lab, token = lab_of_each_level, new_token()
    lab.reporter.ticked_at = boot_now()
    timing = Timing(silence_term_s=0.4, silence_kill_s=0.6, orders_s=0.05)
    result = lab.run(
        f"trap '' TERM; sleep {token}; sleep {token}", timing=timing, post_run="echo after"
    )
    assert (result.outcome, result.reason) == ("errored", "runner-lost")
    assert "was not renewed for 0.6 s" in result.message
    assert sleepers(token) == []
    assert "after" not in lab.reporter.text("stdout")


def test_an_order_that_rings_is_obeyed_at_once(lab: Lab) -> None:
    bell, rope = os.pipe()

    def ring() -> None:
        lab.reporter.cancel_it()
        os.write(rope, b"!")

    lab.reporter.watched = bell
    lab.reporter.on("begun", ring)
    timing = Timing(orders_s=3600.0, grace_s=0.2)
    try:
        assert lab.run("echo begun; sleep 60", timing=timing).outcome == "cancelled"
    finally:
        os.close(bell)
        os.close(rope)


def test_a_slot_stays_in_touch_while_it_removes_a_large_workspace(lab: Lab) -> None:
    result = lab.run("touch $(seq 2000)", timing=Timing(orders_s=0.0))
    assert result.outcome == "succeeded"
    assert lab.reporter.asked > 1500


def test_a_refused_start_runs_nothing(lab: Lab) -> None:
    lab.reporter = Recorder(may_start=False)
    result = lab.run("echo ran", post_run="echo ran")
    assert (result.outcome, lab.reporter.text()) == ("fenced", "")


@pytest.mark.parametrize("order", ["cancel", "stop", "lost"])
def test_an_order_before_the_start_prevents_it(lab: Lab, order: str) -> None:
    setattr(lab.reporter, order, "anna")
    result = lab.run("echo ran", post_run="echo ran")
    assert lab.reporter.starts == 0
    assert "ran" not in lab.reporter.text("stdout")
    expected = {"cancel": "cancelled", "stop": "errored", "lost": "fenced"}[order]
    assert result.outcome == expected


def test_a_reporter_that_breaks_leaves_no_process(lab: Lab) -> None:
    token = new_token()

    def break_down() -> None:
        raise ConnectionError("the database is gone")

    lab.reporter.on("begun", break_down)
    with pytest.raises(ConnectionError):
        lab.run(f"trap '' TERM; echo begun; sleep {token}; sleep {token}")
    assert sleepers(token) == []
    assert list(lab.work_dir.iterdir()) == []


def test_a_missing_zygote_is_told_before_anything_is_done(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(ZygoteGoneError, match="does not answer"):
        run_assignment(lab.assignment("true"), lab.reporter, Supervisors(ZygoteClient(tmp_path)))
    assert list(lab.work_dir.iterdir()) == []


def test_the_working_directory_lies_in_the_workspace(lab: Lab) -> None:
    for folder in ("../home", "/etc", "a/../../b"):
        result = lab.run("true", working_directory=folder)
        assert (result.outcome, result.reason) == ("errored", "setup")
        assert "does not lie in the workspace" in result.message
    result = lab.run("true", working_directory="nowhere")
    assert (result.outcome, result.reason) == ("failed", "setup")
    assert "working-directory nowhere cannot be entered: No such file" in result.message


def test_the_environment_is_built_from_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVEYOR_DATABASE_URL", "postgresql://secret")
    lab.run(
        "env",
        environment={"COLOUR": "blue", "PATH": "/evil", "CONVEYOR_ATTEMPT": "x", "LANG": "C"},
        facts={"product": "shop", "number": "7"},
    )
    lines = lab.reporter.text("stdout").splitlines()
    shown = dict(line.split("=", 1) for line in lines)
    assert {
        "COLOUR": "blue",
        "LANG": "C",
        "CONVEYOR_PRODUCT": "shop",
        "CONVEYOR_NUMBER": "7",
    }.items() <= shown.items()
    assert (shown["CI"], shown["PATH"]) == ("true", "/usr/local/bin:/usr/bin:/bin")
    assert shown["CONVEYOR_ATTEMPT"] != "x"
    known = {"COLOUR", "LANG", "CI", "PATH", "HOME", "TMPDIR", "USER", "LOGNAME", "SHELL", "PWD"}
    others = {name for name in shown if not name.startswith("CONVEYOR")} - known
    assert others <= {"SHLVL", "_", "OLDPWD"}
    assert "CONVEYOR_DATABASE_URL" not in shown


def test_a_job_blocks_and_ignores_no_signal(lab_of_each_level: Lab) -> None:
    lab_of_each_level.run("grep -E '^Sig(Blk|Ign)' /proc/self/status")
    lines = lab_of_each_level.reporter.text("stdout").splitlines()
    # The C library keeps 32 and 33 to itself, and leaves them ignored in what it has spawned.
    own = 1 << 31 | 1 << 32
    assert [int(line.split()[1], 16) & ~own for line in lines] == [0, 0]


def test_text_is_utf_8_unless_the_author_chose_a_locale(lab: Lab) -> None:
    script = 'word=né; echo "${#word} ${LANG-none} ${LC_CTYPE-none}"'
    for environment in ({}, {"LANG": "C"}, {"LC_ALL": "C"}):
        lab.run(script, environment=environment)
    assert lab.reporter.text("stdout").splitlines() == ["2 none C.UTF-8", "3 C none", "3 none none"]


def test_a_large_environment_reaches_the_job(lab: Lab) -> None:
    environment = {f"V{number}": "x" * 30000 for number in range(8)}
    lab.run("echo ${#V0} ${#V7}", environment=environment)
    assert lab.reporter.text("stdout") == "30000 30000\n"


def test_secret_files_are_private_and_gone_afterwards(lab: Lab) -> None:
    secret = SecretFile("deploy.key", "DEPLOY_KEY", b"line one of key\nline two of key\n")
    lab.run(
        'stat -c %a:%u "$DEPLOY_KEY"; id -u; wc -c < "$DEPLOY_KEY"; tail -n 1 "$DEPLOY_KEY"',
        secret_files=(secret,),
    )
    mode, user, length, shown = lab.reporter.text("stdout").splitlines()
    assert (mode, length, shown) == (f"600:{user}", "32", "••••")
    with pytest.raises(ValueError, match="cannot name a file"):
        lab.run("true", secret_files=(SecretFile("../../x", "X", b"1"),))
    assert list(lab.work_dir.iterdir()) == []


def test_limits_hold_in_the_job(lab: Lab) -> None:
    lab.run("ulimit -n; ulimit -c; ulimit -f; umask; cat; tty || :")
    shown = lab.reporter.text("stdout").split()
    assert int(shown[0]) <= 65536
    assert (shown[1], shown[3]) == ("0", "0077")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: jobs with a user of their own")
def test_root_is_never_a_job_by_accident(lab: Lab) -> None:
    for level in ("uid", "sandbox"):
        for uid in (None, 0):
            isolation = lab.isolation.__class__(level, uid)
            with pytest.raises(ValueError, match=r"root|needs the slot's user"):
                lab.run("true", isolation=isolation)


NO_SOURCE = "Note: this job has no `inputs: source`, so its workspace was empty."


def test_failed_job_without_source_has_hint(lab: Lab) -> None:
    lab.run("make test", leaves_out_source=True)
    assert NO_SOURCE in lab.reporter.text("control")


@pytest.mark.parametrize(("script", "leaves_out"), [("true", True), ("false", False)])
def test_other_jobs_have_no_hint_of_source(lab: Lab, script: str, leaves_out: bool) -> None:
    lab.run(script, leaves_out_source=leaves_out)
    assert NO_SOURCE not in lab.reporter.text("control")
