"""A whole site of real processes for a scenario: orchestrator, runner, queue and repositories."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from products.models import Configuration
from runners.models import Fleet
from tests.own_database import REPOSITORY
from tests.postgres import free_port
from tests.site_processes import SiteProcesses

SCENARIOS = Path(__file__).resolve().parent
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
PATIENCE_S = 120


class ScenarioSite:
    """Starts what a test asks for in ``folder``, and ends all of it with ``close``."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = {
            **{key: text for key, text in os.environ.items() if not key.startswith("CONVEYOR_")},
            "DJANGO_SETTINGS_MODULE": "conveyor_site.settings",
            "CONVEYOR_WORK_DIR": str(folder / "work"),
            "CONVEYOR_TIME_SCALE": "5",
            **environment,
        }
        self._processes = SiteProcesses(folder, self.environment)
        Configuration.objects.update_or_create(id=1, defaults={"allow_local_sources": True})

    def put_on_job_path(self, *programs: Path) -> None:
        """Let the jobs of the default queue find these programs."""
        tools = self.folder / "tools"
        tools.mkdir(mode=0o755)
        for program in programs:
            shutil.copy(program, tools)
        Fleet.objects.update_or_create(
            name="default",
            defaults={
                "queue": "default",
                "all_products": True,
                "job_path": f"{tools}:{SYSTEM_PATH}",
            },
        )

    def repository(self, name: str, files: Mapping[str, str]) -> Path:
        """Return a repository with one commit of these files, or with one more."""
        path = self.folder / "repositories" / name
        if not path.exists():
            path.mkdir(parents=True)
            self._git(path, "init", "--quiet", "--initial-branch=main")
        for file, text in files.items():
            (path / file).write_text(text)
        self._git(path, "add", "--all")
        self._git(path, "commit", "--quiet", "--message=What the scenario needs")
        return path

    def _git(self, path: Path, *arguments: str) -> None:
        identity = ["-c", "user.name=Test", "-c", "user.email=test@localhost"]
        subprocess.run(["git", *identity, *arguments], cwd=path, check=True)

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of ``manage.py`` to its end."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=REPOSITORY,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def start(self) -> None:
        """Start an orchestrator and a runner with two slots."""
        self._processes.start(port=free_port())

    def close(self) -> None:
        """End all that was started."""
        self._processes.close()
