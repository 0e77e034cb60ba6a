"""A site of its own for a test, with real runners on it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from django.db import transaction
from django.db.models.functions import Now

from belts.models import Definition
from belts.spec.shapes import BeltFile, BeltSpec, JobSpec, digest
from runners.hints import Hint, Publisher
from runners.models import Runner
from runs.models import Attempt, JobRun
from tests.builders import a_belt, a_belt_run, a_product
from tests.own_database import REPOSITORY
from tests.waiting import PATIENCE_S, until

CHILDREN = ("heart", "slot1", "slot2", "doorbe", "zygote")


def is_alive(pid: int) -> bool:
    """Return whether the process exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def processes_with(cookie: str) -> list[int]:
    """Return the living processes that have the text in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if cookie.encode() in environment and is_alive(int(entry.name)):
                found.append(int(entry.name))
    return found


class LivingRunner:
    """A ``manage.py runner`` with two slots, and its children by the short names of ``ps``."""

    def __init__(
        self, arguments: tuple[str, ...], environment: Mapping[str, str], log: Path
    ) -> None:
        self.log = log
        isolation = ("--isolation", "uid") if os.geteuid() == 0 else ()
        command = [sys.executable, "manage.py", "runner", "--slots", "2", *isolation, *arguments]
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command, cwd=REPOSITORY, env=dict(environment), stdout=output, stderr=output
            )

    @property
    def children(self) -> dict[str, int]:
        """The ids of the parent's children by the names of ``CHILDREN``."""
        listing = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        found = {}
        for pid in listing.read_text().split():
            try:
                name = Path(f"/proc/{pid}/comm").read_text().strip()
            except (FileNotFoundError, ProcessLookupError):
                continue
            short = "zygote" if name.startswith("python") else name.removeprefix("conveyor-")
            found[short] = int(pid)
        return found

    def ready(self) -> LivingRunner:
        """Wait until all its processes are there."""
        until(lambda: set(self.children) == set(CHILDREN), "a whole runner")
        return self

    @property
    def said(self) -> str:
        """What it wrote."""
        return self.log.read_text()

    def supervisors(self) -> list[int]:
        """Return the supervisors of jobs."""
        zygote = self.children["zygote"]
        return [
            int(pid) for pid in Path(f"/proc/{zygote}/task/{zygote}/children").read_text().split()
        ]

    def signal(self, number: signal.Signals, child: str | None = None) -> None:
        """Send a signal to the parent, or to one of its children."""
        os.kill(self.children[child] if child else self.process.pid, number)

    def wait(self) -> int:
        """Return the exit code, once it has ended."""
        return self.process.wait(PATIENCE_S)

    def drain(self) -> int:
        """Tell it to end and return its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()


class Site:
    """Database, queue and work folder of a test; ``default`` is its one queue."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.work_dir = folder / "work"
        self.runners: list[LivingRunner] = []
        self._publisher = Publisher()
        self.environment = {
            **{key: text for key, text in os.environ.items() if not key.startswith("CONVEYOR_")},
            "DJANGO_SETTINGS_MODULE": "conveyor_site.settings",
            "CONVEYOR_WORK_DIR": str(self.work_dir),
            "CONVEYOR_TIME_SCALE": "20",
            **environment,
        }

    def start_runner(self, *arguments: str, **environment: str) -> LivingRunner:
        """Start a runner; it is killed after the test."""
        log = self.folder / f"runner-{len(self.runners)}.log"
        runner = LivingRunner(arguments, {**self.environment, **environment}, log)
        self.runners.append(runner)
        return runner

    def runner(self, *arguments: str, **environment: str) -> LivingRunner:
        """Start a runner and wait until it is whole."""
        return self.start_runner(*arguments, **environment).ready()

    def queue_jobs(self, *scripts: str, hint: bool = True, **spec: object) -> list[JobRun]:
        """Return a queued job run for each script, all of one belt run."""
        names = [f"job-{number}" for number in range(len(scripts))]
        jobs = [
            JobSpec(name, commands=script, **spec)  # type: ignore[arg-type]  # a test's own words
            for name, script in zip(names, scripts, strict=True)
        ]
        # Runners poll: what they see at all must say already what the jobs do.
        with transaction.atomic():
            run = a_belt_run(
                dict.fromkeys(names, "queued"), belt=a_belt(product=a_product(_unique()))
            )
            product, belt = run.belt.product.name, run.belt.name
            file = BeltFile(product, belts=(BeltSpec(belt, jobs=tuple(jobs)),))
            Definition.objects.filter(id=run.definition_id).update(
                document=file.to_document(), digest=digest(file)
            )
        rows = list(run.job_runs.order_by("position"))
        if hint:
            self.hint(rows)
        return rows

    def hint(self, rows: list[JobRun]) -> int:
        """Publish a hint for each job run; return how many the queue took."""
        return self._publisher.publish([Hint(row.id, row.queue) for row in rows])

    def state(self, row: JobRun) -> str:
        """Return the present state of a job run."""
        return JobRun.objects.values_list("state", flat=True).get(id=row.id)

    def running(self, row: JobRun) -> Attempt:
        """Wait until the job has begun and return its attempt."""
        until(lambda: self.state(row) not in ("queued", "starting"), "the job begins")
        until(lambda: self.log(row) or self.state(row) != "running", "the job wrote something")
        present = JobRun.objects.get(id=row.id)
        assert present.state == "running", f"The job is {present.state}: {present.message}"
        return Attempt.objects.get(job_run=row, state="running")

    def lost(self, *rows: JobRun) -> list[JobRun]:
        """Return those of the job runs that ended because their runner was lost."""
        ids = [row.id for row in rows]
        return list(JobRun.objects.filter(id__in=ids, state="errored", reason="runner-lost"))

    def ended(self, *rows: JobRun, patience_s: float = PATIENCE_S) -> list[JobRun]:
        """Wait until the job runs have ended and return them as they are then."""
        ids = [row.id for row in rows]
        left = JobRun.objects.filter(id__in=ids, finished_at__isnull=True)
        until(lambda: not left.exists(), "all jobs ended", patience_s=patience_s)
        return list(JobRun.objects.filter(id__in=ids).order_by("position"))

    def log(self, row: JobRun) -> str:
        """Return the log of the job run's newest attempt, without the platform's lines."""
        attempt = Attempt.objects.filter(job_run=row).order_by("-number").first()
        chunks = attempt.log_chunks.exclude(stream="control") if attempt else []
        return b"".join(map(bytes, (chunk.data for chunk in chunks))).decode()

    def kill_all(self) -> None:
        """End every runner of the test at once."""
        for runner in self.runners:
            if runner.process.poll() is None:
                runner.process.kill()
                runner.process.wait()

    def close(self) -> None:
        """End all that the test has started."""
        self.kill_all()
        self._publisher.close()

    def ask_to_drain(self) -> None:
        """Ask all runners to drain, as the admin does."""
        Runner.objects.update(drain_requested_at=Now())


def _unique() -> str:
    return f"product-{uuid4().hex[:12]}"
