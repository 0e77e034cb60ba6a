from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from conveyor_site.demo.parts import NotInTimeError, PartEndedError, Parts
from tests.waiting import until

pytestmark = pytest.mark.processes

SLEEP = "import time; print('here I am', flush=True); time.sleep(600)"


def parts_in(folder: Path) -> Parts:
    environment = {"PATH": os.environ["PATH"], "CONVEYOR_DATA_DIR": str(folder / "data")}
    return Parts(folder / "logs", environment)


def test_part_that_ends_is_reported_with_its_log(tmp_path: Path) -> None:
    with parts_in(tmp_path) as parts:
        parts.start("orchestrator", "no_such_command")

        with pytest.raises(PartEndedError, match=r"orchestrator ended with exit code 1:\n.*no_s"):
            parts.wait_for(lambda: False, "it serves")


def test_time_limit_of_a_wait_is_named(tmp_path: Path) -> None:
    with parts_in(tmp_path) as parts:
        parts.start("runner", "shell", "-v", "0", "-c", SLEEP)

        with pytest.raises(NotInTimeError, match=r"did not happen within 0\.01 s: pigs fly"):
            parts.wait_for(lambda: False, "pigs fly", limit_s=0.01)


def test_parts_end_with_the_block_and_write_into_their_logs(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "runner.log"
    with parts_in(tmp_path) as parts:
        parts.start("runner", "shell", "-v", "0", "-c", SLEEP)
        until(lambda: "here I am" in log.read_text(), "its first words")
        began = time.monotonic()

    assert time.monotonic() - began < 10


def test_a_part_that_does_not_want_to_end_is_killed_when_it_is_asked_again(tmp_path: Path) -> None:
    stubborn = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
    log = tmp_path / "logs" / "runner.log"
    parts = parts_in(tmp_path)
    parts.start("runner", "shell", "-v", "0", "-c", stubborn)
    until(lambda: "here I am" in log.read_text(), "its first words")
    asked_again = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        parts.end()
    finally:
        signal.signal(signal.SIGALRM, asked_again)

    with pytest.raises(PartEndedError, match="exit code -9"):
        parts.check()
