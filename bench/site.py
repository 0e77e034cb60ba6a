"""A running site: the server, a runner with two slots, and a bare Celery worker beside them."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

from django.db import connection

from belts.definitions import publish, store_definition
from belts.models import Belt
from belts.spec.shapes import BeltFile, BeltSpec, JobSpec
from bench import bare
from bench.processes import NotMeasuredError, running, wait_for
from products.models import Product
from runners.broker import broker_url
from runs.models import BeltRun
from runs.start import start_belt_run
from runs.states import BELT_FINISHED, BeltRunState

#: What jobs of a runner are isolated by: a user of their own where that is possible.
LEVEL = "uid" if os.geteuid() == 0 else "none"
SLOTS = 2
#: Users of the jobs, other than those that runners of this machine take by default.
JOB_UIDS = "62000-62099"

_PRODUCT = "bench"
_ADDRESS = re.compile(r"http://([\d.]+):(\d+)/")


class Site:
    """The site as the benchmark uses it; the pids are those of what it has started."""

    def __init__(self, folder: Path, *, runner: int, orchestrator: int, worker: int) -> None:
        self.folder = folder
        self.runner = runner
        self.orchestrator = orchestrator
        self.worker = worker

    def add_belt(self, name: str, jobs: Sequence[JobSpec]) -> Belt:
        """Return a new belt with these jobs."""
        product = Product.objects.create(name=f"{_PRODUCT}-{name}")
        file = BeltFile(product.name, belts=(BeltSpec(name, jobs=tuple(jobs)),))
        publish(product, store_definition(product, file))
        belt: Belt = Belt.objects.select_related("product").get(product=product, name=name)
        return belt

    def run(self, belt: Belt, *, look_every_s: float = 0.05) -> tuple[BeltRun, float]:
        """Start the belt and wait for its end; return the run, and the seconds that it took.

        The end is what the database says, so that looking for it need not be often.
        """
        begun = time.time()
        run = start_belt_run(belt, by="bench")
        self.wait_for(run, look_every_s=look_every_s)
        if run.state != BeltRunState.SUCCEEDED or run.finished_at is None:
            raise NotMeasuredError(f"{run} ended as {run.state}; it was to succeed.")
        return run, run.finished_at.timestamp() - begun

    def wait_for(self, run: BeltRun, *, look_every_s: float) -> None:
        """Wait for the end of a run and refresh it."""
        ended = BeltRun.objects.filter(id=run.id, state__in=BELT_FINISHED)
        wait_for(ended.exists, f"{run} ends", every_s=look_every_s)
        run.refresh_from_db()

    def address(self) -> tuple[str, int]:
        """Return host and port of the orchestrator's pages, once it serves them."""
        log = self.folder / "orchestrator.log"
        wait_for(lambda: _ADDRESS.search(log.read_text()), "the orchestrator serves pages")
        found = _ADDRESS.findall(log.read_text())[-1]
        return found[0], int(found[1])

    def moments(self) -> str:
        """Return a new file for the moments of bare tasks."""
        return str(self.folder / f"moments-{uuid4()}")


@contextmanager
def a_site(folder: Path) -> Iterator[Site]:
    """Give a site whose processes are whole and warm; they are ended afterwards."""
    url = broker_url()
    bare.app.conf.update(broker_url=url)
    with ExitStack() as stack:
        manage = [sys.executable, "manage.py"]
        celery = [sys.executable, "-m", "celery", "--app", "bench.bare", "worker"]
        pool = ["--pool", "prefork", "--concurrency", str(SLOTS), "--loglevel", "WARNING"]
        slots = ["--slots", str(SLOTS), "--job-uids", JOB_UIDS]
        commands = {
            "orchestrator": [*manage, "orchestrator", "--port", "0"],
            "runner": [*manage, "runner", *slots, "--isolation", LEVEL],
            "worker": [*celery, *pool],
        }
        environment = {**os.environ, bare.URL: url}
        pids = {
            role: stack.enter_context(running(command, environment, folder / f"{role}.log")).pid
            for role, command in commands.items()
        }
        site = Site(folder, **pids)
        _warm_up(site)
        yield site
        connection.close()


def _warm_up(site: Site) -> None:
    """Return when everything has worked once."""
    belt = site.add_belt("warm-up", [JobSpec(f"job-{n}", commands="true") for n in range(10)])
    site.run(belt)
    moments = site.moments()
    for _ in range(10):
        bare.no_op.delay(moments)
    wait_for(lambda: len(bare.read_moments(moments)) == 10, "the bare worker answers")
