"""On a full disk a job never ends well with values that are cut or gone, and says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from runners.executor.shapes import Limits, OutputWord
from runners.executor.zygote import ZygoteProcess
from tests.runners.executor.attempts import LEVELS, Lab, isolation_of

SHELLS = ["bash", "sh"]
OUT = OutputWord("OUT")
FILL = "cat /dev/zero > fill || true"
#: Leaves room for two files of one page each, on a disk whose pages have 4096 bytes.
NEARLY_FILL = f"head -c 8192 /dev/zero > room; {FILL}; rm room"
LONG = "head -c 30000 /dev/zero | tr '\\0' x"


def lab_on(disk: Path, zygote: ZygoteProcess, level: str) -> Lab:
    isolation = isolation_of(level)
    if isolation is None:
        pytest.skip(f"this machine or user cannot isolate by {level}")
    return Lab(disk, zygote.client(), isolation)


@pytest.fixture
def full(small_disk: Path, zygote: ZygoteProcess) -> Lab:
    return lab_on(small_disk, zygote, "uid")


@pytest.fixture(params=LEVELS)
def full_at_each_level(
    request: pytest.FixtureRequest, small_disk: Path, zygote: ZygoteProcess
) -> Lab:
    return lab_on(small_disk, zygote, request.param)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("output", [OUT, OutputWord("OUT", "$V"), OutputWord("OUT", "v-$V")])
def test_a_value_that_could_not_be_stored_is_no_value(
    full_at_each_level: Lab, shell: str, output: OutputWord
) -> None:
    lab = full_at_each_level
    result = lab.run(f"OUT=after-full; V=$OUT; {FILL}", language=shell, outputs=(output,))
    assert (result.outcome, result.reason) == ("failed", "output-missing")
    assert (result.exit_code, result.outputs) == (0, {})
    assert result.message.startswith(
        "The value of output OUT could not be stored: no space left on device in the work folder. "
    )
    assert "CONVEYOR_WORK_DIR" in result.message


@pytest.mark.parametrize("shell", SHELLS)
def test_a_value_that_was_cut_is_no_value(full: Lab, shell: str) -> None:
    script = f"A=first; OUT=$({LONG}); Z=last; {NEARLY_FILL}"
    outputs = (OutputWord("A"), OUT, OutputWord("Z"))
    result = full.run(script, language=shell, outputs=outputs)
    assert (result.outcome, result.reason) == ("failed", "output-missing")
    assert result.outputs == {"A": "first"}
    assert result.message.startswith("The values of the outputs OUT, Z could not be stored: no sp")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("end", ["true", "exit 0", "trap 'echo bye' EXIT"])
def test_it_is_so_however_the_script_ends(full: Lab, shell: str, end: str) -> None:
    result = full.run(f"OUT=1; {FILL}\n{end}", language=shell, outputs=(OUT,))
    assert (result.outcome, result.reason, result.outputs) == ("failed", "output-missing", {})


@pytest.mark.parametrize("shell", SHELLS)
def test_a_disk_that_takes_no_more_files_is_full_too(full: Lab, shell: str) -> None:
    script = 'OUT=1; n=0; while printf "" > "f$n"; do n=$((n + 1)); done'
    result = full.run(script, language=shell, outputs=(OUT,))
    assert (result.reason, result.outputs) == ("output-missing", {})
    assert "could not be stored: no room for another file in the work folder" in result.message


@pytest.mark.parametrize("shell", SHELLS)
def test_a_value_that_a_limit_of_files_cut_is_no_value(lab: Lab, shell: str) -> None:
    script = f"trap '' XFSZ; OUT=$({LONG})"
    limits = Limits(file_bytes=4096)
    result = lab.run(script, language=shell, outputs=(OUT,), limits=limits)
    assert (result.outcome, result.reason, result.outputs) == ("failed", "output-missing", {})
    assert "The value of output OUT could not be stored: " in result.message
    assert "log" in result.message


@pytest.mark.parametrize("shell", SHELLS)
def test_commands_that_failed_are_what_is_told_of_a_full_disk(full: Lab, shell: str) -> None:
    result = full.run(f"OUT=1; {FILL}; exit 3", language=shell, outputs=(OUT,))
    assert (result.reason, result.exit_code, result.outputs) == ("exit-status", 3, {})


def test_a_program_whose_file_was_cut_without_its_notice_hands_on_nothing(full: Lab) -> None:
    script = (
        "import os, subprocess\n"
        f'subprocess.run(["sh", "-c", {NEARLY_FILL!r}])\n'
        "file = open(os.environ['CONVEYOR_OUTPUT'], 'w', buffering=1 << 16)\n"
        "file.write('OUT=' + 'x' * 30000 + '\\n')\n"
    )
    result = full.run(script, language="python", outputs=(OUT,))
    assert (result.outcome, result.outputs) == ("failed", {})
    assert "Line 1 of $CONVEYOR_OUTPUT" in result.message
    assert "no space left on device in the work folder" in result.message


@pytest.mark.parametrize("text", ["OUT=1", "A=1\nOUT=1", "OUT<<END\n1\nEND"])
def test_a_line_of_the_file_counts_once_it_has_ended(lab: Lab, text: str) -> None:
    write = f"printf '{text}' > \"$CONVEYOR_OUTPUT\""
    result = lab.run(write, outputs=(OUT,))
    assert (result.outcome, result.reason) == ("failed", "output-invalid")
    assert "does not end with a newline" in result.message
    assert "OUT" not in result.outputs
    assert lab.run(f'{write}; echo >> "$CONVEYOR_OUTPUT"', outputs=(OUT,)).outputs == {"OUT": "1"}


def test_a_value_of_the_greatest_size_is_taken_whole(lab: Lab) -> None:
    limits = Limits(output_bytes=5)
    assert lab.run("OUT=12345", outputs=(OUT,), limits=limits).outputs == {"OUT": "12345"}
    result = lab.run("OUT=123456", outputs=(OUT,), limits=limits)
    assert (result.reason, result.outputs) == ("output-invalid", {})
    assert "larger than 5 bytes" in result.message


# --- What else is written -------------------------------------------------------------------------
def test_post_run_has_its_script_on_a_full_disk(full: Lab) -> None:
    result = full.run(FILL, post_run="rm fill; echo cleaned up")
    assert (result.outcome, result.message) == ("succeeded", "")
    assert "cleaned up\n" in full.reporter.text("stdout")


def test_a_script_for_which_there_is_no_room_is_not_begun(full: Lab) -> None:
    for fields in ({"script": f"# {'x' * 2**21}"}, {"script": "", "post_run": "x" * 2**21}):
        result = full.run(**fields)
        assert (result.outcome, result.reason) == ("errored", "setup")
        assert result.message.startswith(
            "The job's folders could not be prepared: no space left on device in the work folder. "
        )
    assert full.reporter.starts == 0
