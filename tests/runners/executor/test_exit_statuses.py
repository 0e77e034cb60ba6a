"""Exit statuses with a meaning of their own are explained at the end of a job."""

from __future__ import annotations

import pytest

from tests.runners.executor.attempts import Lab

MEANINGS = {
    "touch file; ./file": (126, "could not be executed"),
    "no-such-program-here": (127, "a command was not found"),
    "sh -c 'kill -9 $$'": (137, "often because memory ran out"),
    "sh -c 'kill -11 $$'": (139, "SIGSEGV"),
    "yes | head -1": (141, "a pipe that nobody read (SIGPIPE). With `set -o pipefail`"),
    "ulimit -f 0; printf text > file": (153, "larger than its limit"),
}


@pytest.mark.parametrize("script", MEANINGS)
def test_exit_status_is_explained(lab: Lab, script: str) -> None:
    code, meaning = MEANINGS[script]
    result = lab.run(f"({script})")
    assert result.exit_code == code
    assert result.message.startswith(f"The commands ended with exit status {code}: ")
    assert meaning in result.message


def test_post_run_exit_status_is_explained(lab: Lab) -> None:
    result = lab.run("true", post_run="no-such-program-here")
    assert "post-run ended with exit status 127: a command" in result.message


def test_plain_exit_status_has_no_explanation(lab: Lab) -> None:
    assert lab.run("exit 3").message == "The commands ended with exit status 3."
