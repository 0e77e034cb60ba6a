"""The rows about memory: idle processes take no more than bare Celery does."""

from __future__ import annotations

import time
from http.client import HTTPConnection

from bench.figures import Goal, Row
from bench.processes import PATIENCE_S, pss_mb
from bench.site import LEVEL, Site

_GOAL = Goal(1.3)
_IDLE_S = 1.0


def runner_memory(site: Site, rounds: int) -> Row:
    """Measure the memory of a runner with two slots that has run jobs."""
    return _row(site, rounds, site.runner, "runner-memory", "an idle runner with 2 slots")


def orchestrator_memory(site: Site, rounds: int) -> Row:
    """Measure the memory of an orchestrator that has served a page."""
    host, port = site.address()
    connection = HTTPConnection(host, port, timeout=PATIENCE_S)
    connection.request("GET", "/login/")
    connection.getresponse().read()
    connection.close()
    return _row(site, rounds, site.orchestrator, "orchestrator-memory", "an idle orchestrator")


def _row(site: Site, rounds: int, pid: int, name: str, what: str) -> Row:
    ours, theirs = [], []
    for _ in range(rounds):
        time.sleep(_IDLE_S)
        ours.append(pss_mb(pid))
        theirs.append(pss_mb(site.worker))
    return Row(
        name=name,
        what=f"{what}, PSS of all its processes",
        reference_is="a bare Celery worker with 2 children that has run tasks",
        unit="MB",
        goal=_GOAL,
        level=LEVEL,
        ours=ours,
        reference=theirs,
    )
