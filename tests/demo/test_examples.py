from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from belts.spec import BeltFile, parse_belt_text
from belts.spec.resolve import check

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NAMES = ("web-service", "image", "environment")


class Examples:
    def __init__(self) -> None:
        self.files: dict[str, BeltFile] = {}

    def product(self, name: str) -> BeltFile | None:
        return self.files.get(name)


@pytest.fixture(scope="module")
def examples() -> Examples:
    found = Examples()
    for name in NAMES:
        parsed = parse_belt_text((EXAMPLES / name / ".conveyor.yml").read_bytes())
        assert parsed.file is not None, parsed.problems
        assert not parsed.problems
        found.files[name] = parsed.file
    return found


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_wrong_in_an_example(name: str, examples: Examples) -> None:
    assert check(examples.files[name], examples) == []
    assert examples.files[name].product == name


def test_together_they_show_most_of_the_language(examples: Examples) -> None:
    jobs = [job for file in examples.files.values() for belt in file.belts for job in belt.jobs]
    kinds = {trigger.kind for file in examples.files.values() for trigger in file.triggers}

    assert kinds == {"scm-event", "upstream-build", "schedule"}
    assert {job.shell for job in jobs} == {"bash", "sh", "python"}
    for field in ("inputs", "env", "pre_run", "post_run", "outputs", "downstreams", "timeout_s"):
        assert any(getattr(job, field) for job in jobs), field


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.py")), ids=lambda path: path.name)
def test_the_examples_are_written_for_the_python_that_they_name(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 8))


def test_a_package_is_far_smaller_than_a_value_may_be(tmp_path: Path) -> None:
    target = tmp_path / "service.pyz"
    tool = EXAMPLES / "web-service" / "tools" / "pack.py"
    command = [sys.executable, str(tool), "--version", "1", "--output", str(target)]
    subprocess.run(command, check=True, capture_output=True)

    assert target.stat().st_size < 32 * 1024 / 4
