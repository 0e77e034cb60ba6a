"""The row about sandboxed jobs: the time that the platform adds to the sandbox itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from belts.spec.shapes import JobSpec
from bench.figures import Goal, Row
from bench.processes import NotMeasuredError, running
from bench.site import Site
from runners.executor.sandbox import bubblewrap_argv, view
from runners.executor.shapes import Isolation
from runners.executor.workspace import FOLDERS

JOBS = 30
#: Of the processes that the reference starts as root; no account has it.
_UID = 62200
_JOB_UIDS = "62100-62199"
_QUEUE = "sandbox"


def sandbox(site: Site, rounds: int) -> Row:
    """Measure what a job at level sandbox takes, one after the other in one slot."""
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None:
        raise NotMeasuredError("There is no bwrap on this machine; install bubblewrap.")
    belt = site.add_belt(
        "sandbox", [JobSpec(f"job-{n}", commands="true", queue=_QUEUE) for n in range(JOBS)]
    )
    command = [sys.executable, "manage.py", "runner", "--queues", _QUEUE, "--slots", "1"]
    command += ["--name", "sandbox", "--isolation", "sandbox", "--job-uids", _JOB_UIDS]
    ours, theirs = [], []
    with running(command, os.environ, site.folder / "sandbox.log"):
        site.run(belt)
        for _ in range(rounds):
            ours.append(site.run(belt)[1] * 1000 / JOBS)
            theirs.append(_bare(site.folder, bubblewrap) * 1000)
    return Row(
        name="sandbox",
        what=f"{JOBS} jobs that do nothing at level sandbox, one after the other",
        reference_is="that sandbox's own bwrap … true",
        unit="ms/job",
        goal=Goal(1, more=15),
        level="sandbox",
        ours=ours,
        reference=theirs,
    )


def _bare(folder: Path, bubblewrap: str) -> float:
    """Return the seconds that the sandbox takes without a job in it."""
    own = folder / "sandboxed"
    root = os.geteuid() == 0
    for name in FOLDERS:
        (own / name).mkdir(parents=True, exist_ok=True)
        if root:
            shutil.chown(own / name, _UID, _UID)
    isolation = Isolation("sandbox", bubblewrap=bubblewrap)
    mounts = view(isolation, work_dir=str(folder), own=str(own))
    argv = bubblewrap_argv(
        bubblewrap, mounts, (shutil.which("true") or "true",), folder=f"{own}/workspace"
    )
    user = {"user": _UID, "group": _UID, "extra_groups": []} if root else {}
    begun = time.monotonic()
    for _ in range(JOBS):
        subprocess.run(argv, check=True, env={"PATH": os.defpath}, **user)  # type: ignore[call-overload]  # keywords by name
    return (time.monotonic() - begun) / JOBS
