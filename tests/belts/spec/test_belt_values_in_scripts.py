"""Values reach real shells byte for byte and never execute."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from belts.spec.references import Reference, rewrite_script, scan_script

CANARY = "touch canary"
PAYLOADS = [
    "plain",
    "",
    " ",
    "  two  words  ",
    "\ttab\t",
    "new\nline",
    "\n",
    "trailing\n\n",
    "a\rb",
    "'",
    '"',
    "''",
    '""',
    "it's",
    'say "x"',
    "`",
    "\\",
    "\\\\",
    "\\'",
    '\\"',
    "a\\",
    "$",
    "$$",
    "$x",
    "${x}",
    "${HOME}",
    "${a.B}",
    "${CONVEYOR_REF_1}",
    f"$({CANARY})",
    f"`{CANARY}`",
    f"; {CANARY} ;",
    f"| {CANARY}",
    f"& {CANARY}",
    f"&& {CANARY}",
    f"|| {CANARY}",
    f"\n{CANARY}\n",
    f"'; {CANARY}; '",
    f'"; {CANARY}; "',
    f"'$({CANARY})'",
    f'"$({CANARY})"',
    f") ; {CANARY} ; (",
    f"}} ; {CANARY} ; {{",
    f";; esac; {CANARY}",
    f"E\n{CANARY}\n",
    f"x[$({CANARY})]",
    f"$(({CANARY}))",
    f"<({CANARY})",
    "> canary",
    f"#\n{CANARY}",
    "*",
    "?",
    "[a-z]*",
    "~",
    "{a,b}",
    "-n",
    "-e",
    "--help",
    "-rf /",
    "%s%n",
    "{0.__class__}",
    "{{ 7 }}",
    "é😀",
    "\x01\x1b[31m",
]
REFERENCE = Reference(("a",), "B")

# Each prints the value between angle brackets, through a place where a reference may stand.
PLACEMENTS = {
    "argument": 'printf "<%s>" "${a.B}"',
    "assignment": 'v=${a.B}\nprintf "<%s>" "$v"',
    "case": 'case ${a.B} in (*) printf "<%s>" "${a.B}";; esac',
    "here-document": "cat <<E\n<${a.B}>\nE",
    "substitution": 'printf "<%s>" "$(printf "%s." "${a.B}")"',
    "child": 'V="${a.B}" sh -c \'printf "<%s>" "$V"\'',
}
BARE = 'set -- ${a.B}\nprintf "<%s>" "$*"'


def run(shell: str, script: str, value: str, folder: Path) -> bytes:
    text = rewrite_script(script, shell, lambda reference: f"CONVEYOR_{reference.output}")
    done = subprocess.run(
        [shell, "-c", text],
        env={"PATH": "/usr/bin:/bin", "CONVEYOR_B": value, "LC_ALL": "C.UTF-8"},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=20,
    )
    return done.stdout


def expected(placement: str, value: str) -> bytes:
    if placement == "substitution":
        return f"<{value}.>".encode()
    return f"<{value}>".encode() + (b"\n" if placement == "here-document" else b"")


@pytest.mark.parametrize("shell", ["bash", "sh"])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_value_arrives_byte_for_byte(shell: str, placement: str, tmp_path: Path) -> None:
    for value in PAYLOADS:
        assert run(shell, PLACEMENTS[placement], value, tmp_path) == expected(placement, value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_an_unquoted_value_is_split_by_the_shell_and_never_executed(
    shell: str, tmp_path: Path
) -> None:
    for value in PAYLOADS:
        run(shell, BARE, value, tmp_path)
    assert list(tmp_path.iterdir()) == []


# Each script prints X where the reference is live and nothing with X where it is not.
CORPUS = [
    "echo ${a.B}",
    "echo '${a.B}'",
    'echo "${a.B}"',
    "echo \"'${a.B}'\"",
    "echo '\"'${a.B}'\"'",
    "echo \\'${a.B}",
    "echo \\\\'${a.B}'",
    "echo \\${a.B}",
    'echo "\\${a.B}"',
    "echo \\\\${a.B}",
    "echo # ${a.B}",
    "echo x#${a.B}",
    "echo ok;# ${a.B}",
    "echo \\# ${a.B}",
    "echo '#' ${a.B}",
    "cat <<E\n${a.B}\nE",
    "cat <<'E'\n${a.B}\nE",
    'cat <<"E"\n${a.B}\nE',
    "cat <<\\E\n${a.B}\nE",
    "cat <<-E\n\t'${a.B}'\n\tE",
    "cat <<-'E'\n\t${a.B}\n\tE\n",
    "cat <<E\n\\${a.B}\nE",
    "cat <<'E' | cat\nx\nE\necho ${a.B}",
    "cat <<E\n\\\nE\necho '${a.B}'",
    "cat <<'E E'\n${a.B}\nE E",
    "cat <<E\n$(echo '${a.B}')\nE",
    "cat <<A; cat <<'B'\n'\nA\n${a.B}\nB",
    "cat <<A - <<'B'\nA\n${a.B}\nB",
    "echo $(cat <<'E'\n${a.B}\nE\n)",
    "echo $(echo ')' ${a.B})",
    "echo $(echo '${a.B}')",
    "echo \"$(echo '${a.B}')\"",
    'echo "$(echo "${a.B}")"',
    "echo `echo ${a.B}`",
    "echo `echo '${a.B}'`",
    'echo "`echo \\"${a.B}\\"`"',
    "echo `echo \\`echo '${a.B}'\\``",
    "echo `echo \\\\'${a.B}`",
    "echo ${q:-${a.B}}",
    "echo ${q:-'${a.B}'}",
    "echo \"${q:-'${a.B}'}\"",
    'echo "${q:-"${a.B}"}"',
    "y=z; echo \"${y#'${a.B}'}\"",
    "case x in x) echo ${a.B};; esac",
    "echo $(case x in x) echo '${a.B}';; esac)",
    'echo "$(case x in (x) echo ${a.B};; esac)\'"',
    "echo $(case in in in) echo '${a.B}';; esac)",
    "f() { echo '${a.B}'; }; f",
    "if true; then case x in y|x) echo ${a.B};; esac; fi",
    "(echo ${a.B})",
    "((echo a); (echo ${a.B}))",
    "echo $( (echo '${a.B}') )",
    "echo $$'${a.B}'",
    "echo $#'${a.B}'",
    "echo a\\\n#${a.B}",
    "echo 'a\nb' ${a.B}",
    "echo esac ${a.B}",
    "echo case '${a.B}'",
    "! echo ${a.B}",
    "echo ${q-'}'} '${a.B}'",
    'echo "a # ${a.B}"',
    "true && echo ${a.B} || echo '${a.B}'",
]
BASH_CORPUS = [
    "echo $'${a.B}'",
    "echo $'\\'${a.B}'",
    'echo $"${a.B}"',
    "cat <<< '${a.B}'",
    "cat <<< ${a.B}",
    "(( 1<<2 )); echo '${a.B}'",
    "echo $((1<<2)) ${a.B}",
    "for ((i=0;i<1;i++)); do echo ${a.B}; done",
    "[[ a < b ]]; echo '${a.B}'",
    "echo $[1<<2] ${a.B}",
    "echo \"${q:-'}'}\" '${a.B}'",
    "y=z; echo \"${y/'z'/'${a.B}'}\"",
    "a=(x '#' ${a.B}); echo ${a[@]}",
    "cat <(echo '${a.B}')",
    "case x in @(a|x)) echo '${a.B}';; esac",
    "case x in x) echo a;;& y) ;; esac; echo ${a.B}",
]


def is_expanded(shell: str, script: str, folder: Path) -> bool:
    literal = script.replace("${a.B}", "${CONVEYOR_B}")
    done = subprocess.run(
        [shell, "-O", "extglob", "-c", literal] if shell == "bash" else [shell, "-c", literal],
        env={"PATH": "/usr/bin:/bin", "CONVEYOR_B": "XYZ"},
        cwd=folder,
        capture_output=True,
        check=False,
        timeout=20,
    )
    assert b"yntax" not in done.stderr, (script, done.stderr)
    return b"XYZ" in done.stdout


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_the_scanner_agrees_with_the_shell(shell: str, tmp_path: Path) -> None:
    for script in CORPUS + (BASH_CORPUS if shell == "bash" else []):
        found = scan_script(script, shell)
        live = any(each.placement == "live" for each in found)
        assert live == is_expanded(shell, script, tmp_path), script
        assert all(each.reference == REFERENCE for each in found)
