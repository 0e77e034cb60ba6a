"""Hostile files end in an error, soon and in little memory, and never take the reader down."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from belts.spec import parse_belt_text
from belts.spec.isolated import parse_isolated
from belts.spec.limits import PARSER_CPU_S, PARSER_MEMORY_BYTES, PROBLEMS
from belts.spec.resolve import check
from belts.spec.shapes import BeltFile

KIB = 1024
SIZE = 255 * KIB
HEAD = "product: p\nbelts:\n  - name: b\n    jobs:\n      - name: j\n        commands: "


def filled(unit: str, head: str = "", tail: str = "") -> str:
    return head + unit * ((SIZE - len(head) - len(tail)) // len(unit.encode())) + tail


def laughs() -> str:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    return "\n".join(lines)


BOMBS: dict[str, str | bytes] = {
    "open brackets": filled("["),
    "open braces": filled("{"),
    "brackets in pairs": filled("[]", "product: [", "]"),
    "nested mappings": filled("{a: "),
    "nested block lists": filled("- "),
    "deep indentation": "".join(" " * n + f"k{n}:\n" for n in range(700)),
    "nested questions": filled("? "),
    "a billion laughs": laughs(),
    "an alias to itself": "product: &a [*a]",
    "merge keys": "a: &a {x: 1}\n" + filled("b: {<<: *a}\n"),
    "many keys": "".join(f"key{n}: 1\n" for n in range(20_000)),
    "the same key": filled("product: p\n"),
    "many commas": filled("a,", "product: [", "]"),
    "many anchors": filled("&a ", "product: "),
    "many tags": filled("- !x y\n"),
    "a python object": "!!python/object/apply:os.system ['touch canary']",
    "many documents": filled("---\n"),
    "many directives": filled("%TAG ! !\n"),
    "a long plain word": filled("x", "product: "),
    "a long quoted word": filled("\\x41", 'product: "', '"'),
    "an open quote": filled("x ", 'product: "'),
    "a long key": filled("x", "", ": y"),
    "a huge number": filled("9", "product: p\nbelts: ", ""),
    "impossible escapes": 'product: "\\UFFFFFFFF"',
    "too many bytes": b"#" * (2 * KIB * KIB),
    "no text": os.urandom(64 * KIB) + b"\xff",
    "only NULs": b"\0" * SIZE,
    "many unknown belts": "product: p\ntriggers:\n"
    + "".join(f"  - {{manual: , belts: [x{n}]}}\n" for n in range(300)),
    "nested substitutions": filled("$(", HEAD + "|\n          echo '${j.X}' "),
    "nested arithmetic": filled("((", HEAD + "|\n          echo '${j.X}' "),
    "many here-documents": filled("<<A ", HEAD + "|\n          echo '${j.X}' ") + "\n          x\n",
    "many backquotes": filled("`\\`", HEAD + "|\n          echo '${j.X}' "),
    "many backslashes": filled("\\", HEAD + "|\n          echo '${j.X}' "),
    "many open expansions": filled("${x:-", HEAD + "|\n          echo '${j.X}' "),
    "many cases": filled("case a in ", HEAD + "|\n          echo '${j.X}' "),
    "many references": HEAD + "|\n" + "".join(f"          : ${{r{n}.X}}\n" for n in range(9_000)),
    "a circle of jobs": "product: p\nbelts:\n- name: b\n  jobs:\n"
    + "".join(
        f"  - {{name: j{n}, commands: x, inputs: [j{(n + 1) % 200}, j{(n + 7) % 200}]}}\n"
        for n in range(200)
    ),
}

# Runs the bombs one after another; tells for each the codes and the processor seconds, and for
# all the peak of memory. In a process of its own, because the peak is that of all its children.
MEASURE = """
import base64, json, resource, sys
sys.path.insert(0, sys.argv[1])
from belts.spec.isolated import parse_isolated

def used():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime

told = {}
for name, data in json.load(sys.stdin).items():
    before = used()
    result = parse_isolated(base64.b64decode(data))
    told[name] = [each.code for each in result.errors], result.file is None, used() - before
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
print(json.dumps([told, peak]))
"""
ROOT = Path(__file__).resolve().parents[3]


def exploded() -> tuple[dict[str, tuple[list[str], bool, float]], int]:
    encoded = {
        name: base64.b64encode(bomb.encode() if isinstance(bomb, str) else bomb).decode()
        for name, bomb in BOMBS.items()
    }
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(ROOT)],
        input=json.dumps(encoded).encode(),
        capture_output=True,
        check=True,
        timeout=300,
    )
    told, peak = json.loads(done.stdout)
    return told, peak


def test_thirty_bombs_are_errors_within_their_time_and_memory_and_their_reader_lives() -> None:
    told, peak = exploded()

    assert len(told) >= 30
    for name, (codes, refused, seconds) in told.items():
        assert refused, name
        assert codes, name
        # Processor time; the start of the process comes before the limit is set.
        assert seconds <= PARSER_CPU_S + 1, name
    assert peak <= PARSER_MEMORY_BYTES


@pytest.mark.parametrize("limits", [{"memory_bytes": 2**20}, {"wall_s": 0.0}])
def test_a_reader_that_is_ended_by_a_limit_is_told_as_a_problem(limits: dict[str, Any]) -> None:
    # Long enough that no memory which the process has already will hold it.
    result = parse_isolated(b"product: p\n#" + b"x" * 200_000, **limits)
    assert result.file is None
    assert [each.code for each in result.problems] == ["file.unparseable"]


class OneOther:
    """A catalogue of one other product."""

    def __init__(self, file: BeltFile) -> None:
        self._file = file

    def product(self, name: str) -> BeltFile | None:
        return self._file if name == self._file.product else None


@pytest.mark.parametrize("length", [40, 100])
def test_names_that_are_missing_among_many_like_them_are_told_in_bounded_time(length: int) -> None:
    def name(number: int) -> str:
        return f"{number:05}".rjust(length // 2, "a").ljust(length, "b")

    jobs = [{"name": name(each), "commands": "x", "outputs": ["O"]} for each in range(150)]
    belts = [{"name": f"b{each}", "jobs": jobs} for each in range(8)]
    other = parse_belt_text(json.dumps({"product": "other", "belts": belts})).file
    script = "\n".join(f'echo "${{other.{name(1000 + each)}.O}}"' for each in range(60))
    mine = [{"name": f"j{each}", "commands": script.replace("01", f"9{each}")} for each in range(9)]
    belt = {"name": "b", "jobs": mine}
    file = parse_belt_text(json.dumps({"product": "mine", "belts": [belt]})).file
    assert file is not None
    assert other is not None

    begun = time.process_time()
    problems = check(file, OneOther(other))

    assert len(problems) == PROBLEMS
    assert time.process_time() - begun < 10


def test_an_isolated_file_is_the_same_with_the_same_lines() -> None:
    text = (ROOT / "tests/scenarios/03_terraform/terraform.conveyor.yml").read_bytes()
    here, there = parse_belt_text(text), parse_isolated(text)
    assert there == here
    assert there.file is not None
    assert here.file is not None
    assert there.file.marks == here.file.marks
    assert [each.line for each in there.file.triggers] == [3]
    assert there.file.triggers[0].broken == here.file.triggers[0].broken


def test_the_parser_knows_no_django() -> None:
    program = "import sys; sys.path.insert(0, sys.argv[1]); import belts.spec.isolated;" + (
        "print(*sorted(name for name in sys.modules if name.split('.')[0] in"
        " {'django', 'celery', 'rest_framework', 'products', 'runs'}))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(ROOT)], capture_output=True, check=True
    )
    # The rule of logins is that of all messages, and its module imports nothing.
    assert done.stdout == b"products products.git products.git.logins\n"
