"""How values leave a job: shell variables, words, the file of $CONVEYOR_OUTPUT."""

from __future__ import annotations

import os

import pytest

from runners.executor.outputs import parse_file
from runners.executor.shapes import Limits, OutputWord
from tests.runners.executor.attempts import Lab

SHELLS = ["bash", "sh"]
X = OutputWord("X")
PAYLOADS = [
    "plain",
    "",
    "two words  and   blanks ",
    "\ttabs\nnew\nlines\n\n",
    """'single' "double" `touch canary` $(touch canary) ${HOME} $HOME""",
    "a; touch canary & touch canary | touch canary && touch canary",
    "* ? [a-z] ~ {a,b} !history",
    "-n",
    "--help",
    "\\n \\\\ \\x41 \\",
    "%s %d %%",
    "{0.__class__}",
    "ünïcödé \u202e \U0001f600",
    "cr\r\nlf",
    "x" * 32768,
]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_variable_of_the_shell_is_handed_on(lab: Lab, shell: str) -> None:
    result = lab.run("X='a  b'\nexport Y=1", language=shell, outputs=(X, OutputWord("Y")))
    assert (result.outcome, result.outputs) == ("succeeded", {"X": "a  b", "Y": "1"})


@pytest.mark.parametrize("shell", SHELLS)
def test_values_arrive_byte_for_byte_and_never_run(lab: Lab, shell: str) -> None:
    names = [f"V{number}" for number in range(len(PAYLOADS))]
    variables = {f"CONVEYOR_REF_{name}": value for name, value in zip(names, PAYLOADS, strict=True)}
    script = "\n".join(f"{name}=${{CONVEYOR_REF_{name}}}" for name in names)
    words = tuple(OutputWord(f"W{name}", f'"${{{name}}}"x') for name in names)
    result = lab.run(
        f'{script}\nls -A > listing\n[ "$(cat listing)" = listing ]',
        language=shell,
        environment=variables,
        outputs=(*map(OutputWord, names), *words),
        limits=Limits(outputs_bytes=1 << 20, output_bytes=1 << 16),
    )
    assert result.outcome == "succeeded", result.message
    for name, value in zip(names, PAYLOADS, strict=True):
        assert result.outputs[name] == value
        assert result.outputs[f"W{name}"] == f"{value}x"


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("ror_ami.json", "ror_ami.json"),
        ("hello world", "hello world"),
        ("$V", "1.2"),
        ("${V}", "1.2"),
        ('"$V"', "1.2"),
        ("v$V-rc.1", "v1.2-rc.1"),
        ("release $V of $(basename /a/tool)", "release 1.2 of tool"),
        ("${NONE:-1.0}", "1.0"),
        ("${V%.*}", "1"),
        ("'$V'", "$V"),
        ("a;b|c&d", "a;b|c&d"),
        ("*", "*"),
        ("", ""),
    ],
)
def test_a_word_is_expanded_by_the_jobs_own_shell(
    lab: Lab, shell: str, word: str, value: str
) -> None:
    result = lab.run("V=1.2", language=shell, outputs=(OutputWord("X", word),))
    assert (result.message, result.outputs) == ("", {"X": value})


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("word", ["$(exit 3)", "${NONE:?}", '"unclosed', "$(cat no-such-file)"])
def test_a_word_that_cannot_be_expanded_is_a_missing_output(
    lab: Lab, shell: str, word: str
) -> None:
    result = lab.run("true", language=shell, outputs=(OutputWord("X", word),))
    assert result.outcome == "failed"
    assert "X" not in result.outputs


def test_a_word_that_comes_out_empty_is_noted_in_the_log(lab: Lab) -> None:
    result = lab.run("true", outputs=(OutputWord("X", "$NONE"),))
    assert (result.outcome, result.outputs) == ("succeeded", {"X": ""})
    assert "output X is empty: its word is $NONE" in lab.reporter.text("control")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "script",
    [
        "X=1; exit 0",
        "X=1; exit",
        "f() { X=1; exit 0; }; f",
        "set -x; X=1",
        "set -u -f; IFS=1; X=1; cd /; PATH=",
        "X=1; trap 'exit 0' TERM; kill -TERM $$; sleep 5",
        "trap 'echo bye' EXIT; X=1",
        "set -C; umask 777; X=1",
    ],
)
def test_outputs_are_captured_however_the_script_ends(lab: Lab, shell: str, script: str) -> None:
    result = lab.run(script, language=shell, outputs=(X, OutputWord("Y", "y$X")))
    assert (result.message, result.outputs) == ("", {"X": "1", "Y": "y1"})


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("script", ["X=1; exec true", "trap - EXIT; X=1; exit 0"])
def test_a_script_that_drops_the_trap_is_told_of_the_file(
    lab: Lab, shell: str, script: str
) -> None:
    result = lab.run(script, language=shell, outputs=(X,))
    assert (result.outcome, result.reason) == ("failed", "output-missing")
    for word in ("Output X", "trap", "exec", "$CONVEYOR_OUTPUT"):
        assert word in result.message
    assert result.message in lab.reporter.text("control")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_file_serves_a_script_that_execs(lab: Lab, shell: str) -> None:
    result = lab.run(
        'exec sh -c \'echo "X=a=b c" >> "$CONVEYOR_OUTPUT"\'', language=shell, outputs=(X,)
    )
    assert (result.outcome, result.outputs) == ("succeeded", {"X": "a=b c"})


def test_the_file_wins_over_the_shells_variable(lab: Lab) -> None:
    result = lab.run('X=shell; echo X=file > "$CONVEYOR_OUTPUT"', outputs=(X,))
    assert result.outputs == {"X": "file"}


def test_a_value_of_several_lines_goes_between_delimiters(lab: Lab) -> None:
    script = 'printf "X<<END\\none\\n\\ntwo=2\\nEND\\n" >> "$CONVEYOR_OUTPUT"'
    assert lab.run(script, outputs=(X,)).outputs == {"X": "one\n\ntwo=2"}


def test_a_python_job_uses_the_file(lab: Lab) -> None:
    script = (
        "import os, sys\n"
        "with open(os.environ['CONVEYOR_OUTPUT'], 'a') as f:\n"
        "    f.write('X=' + 'ä' * 3 + '\\n')\n"
        "sys.exit(0)\n"
    )
    result = lab.run(script, language="python", outputs=(X, OutputWord("Y", "constant")))
    assert (result.message, result.outputs) == ("", {"X": "äää", "Y": "constant"})


def test_an_output_that_nobody_set_is_named(lab: Lab) -> None:
    result = lab.run("Y=1", outputs=(OutputWord("Y"), X))
    assert (result.outcome, result.reason, result.exit_code) == ("failed", "output-missing", 0)
    assert "Output X is declared but missing" in result.message


def test_every_output_that_is_wrong_is_named_with_the_advice_once(lab: Lab) -> None:
    names = [OutputWord(f"N{number}") for number in range(12)]
    result = lab.run("X=$(printf '\\377')", outputs=(X, *names))
    assert (result.outcome, result.reason) == ("failed", "output-invalid")
    assert result.message.startswith("Output X cannot be handed on: it is not UTF-8 at byte 0. ")
    assert result.message.count("is declared but missing") == 9
    assert "Output N8 is declared but missing" in result.message
    assert "3 more cannot be handed on." in result.message
    assert result.message.count("hands it on with") == 1


def test_an_undeclared_name_in_the_file_is_noted_and_ignored(lab: Lab) -> None:
    result = lab.run('echo Z=1 >> "$CONVEYOR_OUTPUT"')
    assert (result.outcome, result.outputs) == ("succeeded", {})
    assert "Z in $CONVEYOR_OUTPUT is ignored" in lab.reporter.text("control")


@pytest.mark.parametrize(
    ("script", "part"),
    [
        ("X=$(printf '\\377')", "not UTF-8"),
        ("X=$(head -c 40000 /dev/zero | tr '\\0' x)", "larger than 32768 bytes"),
        ('printf "X=%040000d\\n" 1 > "$CONVEYOR_OUTPUT"', "40000 bytes"),
        ('echo "no assignment" > "$CONVEYOR_OUTPUT"', "Line 1 of $CONVEYOR_OUTPUT"),
        ('printf "X<<E\\nopen\\n" > "$CONVEYOR_OUTPUT"', "has no end line"),
        ('ln -s /etc/passwd "$CONVEYOR_OUTPUT"', "not a plain file"),
        ('mkfifo "$CONVEYOR_OUTPUT"', "not a plain file"),
        ('mkdir "$CONVEYOR_OUTPUT"', "not a plain file"),
        ('echo X=1 > a; ln a "$CONVEYOR_OUTPUT"', "not a plain file of the job's own"),
        ('ln -s /etc/hostname "${CONVEYOR_OUTPUT%/*}/output-X"; exec true', "not a plain file"),
    ],
)
def test_an_output_that_may_not_be_handed_on_fails_the_job(
    lab: Lab, script: str, part: str
) -> None:
    result = lab.run(f"X=1\n{script}", outputs=(X,))
    assert (result.outcome, result.reason) == ("failed", "output-invalid")
    assert part in result.message


def test_a_swapped_output_folder_is_not_followed(lab: Lab) -> None:
    script = (
        'cd "${CONVEYOR_OUTPUT%/*}"; rm -r ../job; ln -s "$HOME" ../job; '
        "echo stolen > ../home/output-X; exec true"
    )
    assert lab.run(script, outputs=(X,)).reason == "output-missing"


def test_outputs_have_a_limit_together(lab: Lab) -> None:
    limits = Limits(outputs_bytes=10)
    result = lab.run("X=123456; Y=12345", outputs=(X, OutputWord("Y")), limits=limits)
    assert (result.reason, result.message) == (
        "output-invalid",
        "The outputs together have 11 bytes, more than 10.",
    )


def test_an_output_with_a_credential_in_it_is_refused(lab: Lab) -> None:
    result = lab.run(
        'X="token is $TOKEN"',
        environment={"TOKEN": "s3cr3t-value"},
        secret_values=(b"s3cr3t-value",),
        outputs=(X,),
    )
    assert result.reason == "output-invalid"
    assert "credential" in result.message
    assert "s3cr3t" not in result.message + lab.reporter.text()


def test_a_failed_job_still_tells_what_was_captured(lab: Lab) -> None:
    result = lab.run("X=1; exit 4", outputs=(X,))
    assert (result.outcome, result.exit_code, result.outputs) == ("failed", 4, {"X": "1"})


def test_a_name_that_is_no_variable_is_refused() -> None:
    for name in ("../x", "a-b", "", "a b", "1x"):
        with pytest.raises(ValueError, match="cannot name an output"):
            OutputWord(name)


def test_the_last_of_several_values_holds_and_only_newlines_end_a_line() -> None:
    values, problem = parse_file(b"A=1\r\nA=\xff\x0b2\n\nB=\nC<<X\nX\n")
    assert (values, problem) == ({"A": b"\xff\x0b2", "B": b"", "C": b""}, None)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a file of another user")
def test_a_hard_link_to_a_file_of_root_is_not_read(lab: Lab) -> None:
    secret = lab.work_dir / "secret"
    secret.write_text("root only")
    secret.chmod(0o600)
    # The kernel's protected_hardlinks may refuse the link, which is as good.
    script = f'ln {secret} "${{CONVEYOR_OUTPUT%/*}}/X" || :; exec true'
    result = lab.run(script, outputs=(X,))
    assert result.outcome == "failed"
    assert "X" not in result.outputs


@pytest.mark.parametrize("options", ["", "set -u\n"])
def test_array_output_has_note_and_first_element(lab: Lab, options: str) -> None:
    outputs = (OutputWord("FILES"), OutputWord("WORD", "$FILES"), OutputWord("ONE"))
    result = lab.run(f"{options}FILES=(a 'b c'); ONE=(one)", outputs=outputs)
    assert result.outputs == {"FILES": "a", "WORD": "a", "ONE": "one"}
    control = lab.reporter.text("control")
    assert "Note: FILES is an array; only its first element is handed on. To hand" in control
    assert 'FILES_TEXT="${FILES[*]}"' in control
    assert "ONE" not in control


@pytest.mark.parametrize("script", ["declare -A X=([key]=value)", "set -u; X=([1]=value)"])
def test_array_without_first_element_is_refused(lab: Lab, script: str) -> None:
    result = lab.run(script, outputs=(X,))
    assert (result.outcome, result.reason) == ("failed", "output-invalid")
    assert "its variable is an array without an element 0" in result.message
    assert "is not set" not in result.message


@pytest.mark.parametrize("encoding", ["UTF-16", "UTF-16LE", "UTF-16BE"])
def test_outputs_in_utf16_are_named(lab: Lab, encoding: str) -> None:
    script = f"printf 'X=1\\n' | iconv -t {encoding} >> \"$CONVEYOR_OUTPUT\""
    result = lab.run(script, outputs=(X,))
    assert "is UTF-16 or binary. Write the file as UTF-8." in result.message


def test_byte_order_mark_of_outputs_is_named(lab: Lab) -> None:
    result = lab.run("printf '\\357\\273\\277X=1\\n' >> \"$CONVEYOR_OUTPUT\"", outputs=(X,))
    assert "begins with a byte order mark. Write the file as UTF-8 without it." in result.message


DAMAGE = {
    'rm -rf "$CONVEYOR_WORKSPACE/../job"': "were removed while it ran",
    'chmod 000 "$CONVEYOR_WORKSPACE/../job"': "were closed by a chmod while it ran",
    'rm -f "$CONVEYOR_WORKSPACE/../job/capture"': "files that the runner had written",
}


@pytest.mark.parametrize("shell", ["bash", "sh"])
@pytest.mark.parametrize("script", DAMAGE)
def test_lost_folders_are_named_as_cause(lab: Lab, script: str, shell: str) -> None:
    result = lab.run(f"X=1; {script}", outputs=(X,), language=shell)
    assert (result.outcome, result.reason) == ("failed", "output-missing")
    assert DAMAGE[script] in result.message
    assert "is not set" not in result.message
