"""The parser in a process of its own, for files that were pushed.

A file that makes the parser run away or crash ends that process, at 2 s of processor time or
100 MiB, and is reported as a problem. The server continues.
"""

from __future__ import annotations

import contextlib
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from belts.spec.limits import FILE_BYTES, PARSER_CPU_S, PARSER_MEMORY_BYTES, PARSER_WALL_S
from belts.spec.nodes import Mark
from belts.spec.parse import ParseResult, parse_belt_text
from belts.spec.problems import Problem, to_json
from belts.spec.shapes import BeltFile

# -I keeps the environment and the working directory out, so the folders that hold this package
# and PyYAML are named.
_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); sys.path.append(sys.argv[2]);"
    " from belts.spec.isolated import main; main(int(sys.argv[3]), int(sys.argv[4]))"
)
_ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = Path(yaml.__file__).resolve().parents[1]


def parse_isolated(
    data: bytes,
    *,
    cpu_s: int = PARSER_CPU_S,
    memory_bytes: int = PARSER_MEMORY_BYTES,
    wall_s: float = PARSER_WALL_S,
) -> ParseResult:
    """Return what ``parse_belt_text`` returns, from a fresh process within limits.

    Never raises for any data; a crash, a runaway or too much memory is file.unparseable.
    """
    if len(data) > FILE_BYTES:
        return parse_belt_text(data)
    limits = [str(cpu_s), str(memory_bytes)]
    paths = [str(_ROOT), str(_PACKAGES)]
    command = [sys.executable, "-I", "-B", "-c", _PROGRAM, *paths, *limits]
    try:
        done = subprocess.run(
            command,
            input=data,
            capture_output=True,
            timeout=wall_s,
            env={"LC_ALL": "C.UTF-8"},
            check=False,
        )
        return _restored(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):  # no JSON: the process was ended
        return ParseResult(None, (_unparseable(cpu_s, memory_bytes),))


def main(cpu_s: int, memory_bytes: int) -> None:
    """Read a belt file from standard input and write the result to standard output as JSON."""
    _limit(cpu_s, memory_bytes)
    result = parse_belt_text(sys.stdin.buffer.read(FILE_BYTES + 1))
    sys.stdout.write(json.dumps(_document(result)))


def _limit(cpu_s: int, memory_bytes: int) -> None:
    for limit, value in (
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # a lower hard limit is as good
            resource.setrlimit(limit, (value, value))


def _document(result: ParseResult) -> dict[str, Any]:
    draft = result.draft
    return {
        "problems": to_json(result.problems),
        "is_good": result.file is not None,
        "draft": draft.to_document() if draft else None,
        "gaps": sorted(draft.gaps) if draft else [],
        "marks": {path: _mark(mark) for path, mark in draft.marks.items()} if draft else {},
        "lines": [trigger.line for trigger in draft.triggers] if draft else [],
    }


def _mark(mark: Mark) -> list[Any]:
    return [mark.line, mark.column, mark.rows]


def _restored(output: bytes) -> ParseResult:
    document = json.loads(output)
    problems = tuple(Problem.from_document(each) for each in document["problems"])
    if document["draft"] is None:
        return ParseResult(None, problems)
    marks = {
        path: Mark(line, column, tuple((row, start) for row, start in rows))
        for path, (line, column, rows) in document["marks"].items()
    }
    draft = BeltFile.from_document(document["draft"])
    draft = draft.with_places(marks, document["lines"], frozenset(document["gaps"]))
    return ParseResult(draft if document["is_good"] else None, problems, draft)


def _unparseable(cpu_s: int, memory_bytes: int) -> Problem:
    return Problem(
        "file.unparseable",
        "error",
        f"Reading the file took more than {cpu_s} s of processor time or"
        f" {memory_bytes // 2**20} MiB of memory.",
        "Make it smaller: fewer keys, shorter scripts.",
    )
