"""The supervisor needs nothing but the standard library, the executor nothing of Django."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def modules_after(statement: str) -> set[str]:
    """Return the top-level modules that an isolated interpreter holds after a statement."""
    code = f"import sys; sys.path.append({str(ROOT)!r}); {statement}; print(*sys.modules)"
    options = [sys.executable, "-I", "-S", "-B", "-c", code]
    done = subprocess.run(options, check=True, capture_output=True, text=True)
    return {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize(
    "statement", ["import runners.supervisor.zygote", "import runners.executor.isolation"]
)
def test_only_the_standard_library_is_loaded(statement: str) -> None:
    others = modules_after(statement) - set(sys.stdlib_module_names) - {"__main__"}
    assert others == {"runners"}


def test_the_zygote_stays_small() -> None:
    loaded = modules_after("import runners.supervisor.zygote")
    assert loaded.isdisjoint({"dataclasses", "pathlib", "subprocess", "inspect", "asyncio"})
