"""A site runs with what requirements.txt pins, and with nothing that only its developers have."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.architecture.tree import APPS, ROOT, document, modules, name_of

#: Imports everything of ours and the ways to each queue, with all that is not pinned out of reach.
IMPORTS = """
import json, sys
from importlib import import_module

given = json.load(sys.stdin)

class OutOfReach:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in given["hidden"]:
            raise ModuleNotFoundError(f"{name} is not in requirements.txt", name=name)

sys.meta_path.insert(0, OutOfReach())
import_module("django").setup()
for name in [*given["modules"], "kombu.transport.redis", "kombu.transport.pyamqp"]:
    import_module(name)
"""


def pinned(name: str) -> dict[str, str]:
    """Return the versions that a file of requirements pins, by names of distributions."""
    lines = re.findall(r"^([\w.-]+)(?:\[\w+\])?==([\w.]+)", document(name), re.MULTILINE)
    return {distribution.lower().replace("_", "-"): version for distribution, version in lines}


def hidden_modules() -> list[str]:
    """Return the modules of this environment that no pinned distribution brings."""
    there = pinned("requirements.txt")
    return [
        module
        for module, owners in packages_distributions().items()
        if not any(owner.lower().replace("_", "-") in there for owner in owners)
    ]


def test_a_site_runs_with_what_is_pinned_for_it(tmp_path: Path) -> None:
    hidden = hidden_modules()
    assert "pytest" in hidden
    assert "django" not in hidden
    names = [name_of(path).removesuffix(".py").replace("/", ".") for path in modules(*APPS)]
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS],
        cwd=ROOT,
        input=json.dumps({"hidden": hidden, "modules": names}),
        env={
            "CONVEYOR_DATA_DIR": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "conveyor_site.settings",
            "PATH": "/usr/bin:/bin",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_developers_have_the_versions_that_sites_have() -> None:
    both = pinned("requirements.txt").keys() & pinned("requirements-dev.txt").keys()
    assert sorted(both) == []
