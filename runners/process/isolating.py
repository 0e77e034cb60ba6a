"""Choosing the isolation of a runner's jobs: the strongest that holds, unless one is asked for."""

from __future__ import annotations

import os
from pathlib import Path

from django.conf import settings

from runners.errors import NoPlaceError
from runners.executor.isolation import IsolationReport, detect
from runners.executor.shapes import Isolation

_OPEN = "No isolation holds on this machine, so jobs could read what the runner knows:"
_WAY_OUT = "Install bubblewrap or start the runner as root; --isolation none accepts it."
_RANK = {"none": 0, "uid": 1, "sandbox": 2}


def choose_isolation(
    work_dir: Path, uid: int | None, *, path: str, wanted: str | None
) -> tuple[Isolation, list[str]]:
    """Return the isolation with what it needs, and all that was tried as lines.

    ``uid`` is the user of the first slot's jobs, ``path`` the job PATH. Raises NoPlaceError if what
    is wanted does not hold here, or nothing does and that was not asked for.
    """
    report = detect(work_dir, job_uid=uid, path=path, hidden=[str(settings.CONVEYOR_DATA_DIR)])
    if wanted is None:
        _refuse_none(report)
        return report.isolation, report.sentences
    _refuse_impossible(report, wanted)
    if wanted == report.level:
        return report.isolation, report.sentences
    return Isolation("uid" if wanted == "uid" else "none", uid, uid), report.sentences


def _refuse_none(report: IsolationReport) -> None:
    if report.level != "none":
        return
    if os.geteuid() == 0:
        raise NoPlaceError("\n".join(["Jobs would run as root:", *report.sentences]))
    if not settings.CONVEYOR_EMBEDDED:
        raise NoPlaceError("\n".join([_OPEN, *report.sentences, _WAY_OUT]))


def _refuse_impossible(report: IsolationReport, wanted: str) -> None:
    if wanted == "none" and os.geteuid() == 0:
        raise NoPlaceError(
            "--isolation none would run jobs as root. Use --isolation uid, or mark the fleet "
            "whose jobs must be root in the admin (root jobs)."
        )
    if wanted == "uid" and os.geteuid() != 0:
        raise NoPlaceError("--isolation uid needs a runner that was started as root.")
    if _RANK[wanted] > _RANK[report.level]:
        raise NoPlaceError(
            "\n".join([f"--isolation {wanted} does not hold on this machine:", *report.sentences])
        )
