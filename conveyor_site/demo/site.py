"""A site for the demonstration: its database, its products, its orchestrator and its runner."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.request import ProxyHandler, build_opener
from uuid import UUID

from django.conf import settings
from django.core.management import call_command

from belts.importing import ImportOptions, ImportOutcome, import_sources
from conveyor_site.demo.parts import DRAIN_S, Parts
from conveyor_site.demo.ports import HOST
from conveyor_site.demo.repositories import BRANCH, Repository
from conveyor_site.embedded import ensure_embedded_queue
from products.errors import PlatformError, UserError
from products.models import Configuration, Product, Source
from runners.broker import is_embedded
from runners.process.places import remove_place
from runners.querysets import living_runners
from runners.settings_block import work_dir
from runs.finish import lose_attempt
from runs.models import Attempt, BeltRun

SLOTS = 2
#: How often the repositories of the demonstration are looked at.
POLL_S = 2

STOPPED = "The site was stopped (Ctrl-C) while this job ran."
_LOGS = "logs"
_ANSWER_S = 2
# The site is on this machine, whatever proxy leads to others.
_direct = build_opener(ProxyHandler({}))


class NotEmbeddedError(UserError):
    """A database of the user's own is configured."""

    code = "demo.not-embedded"

    def __init__(self) -> None:
        super().__init__(
            "CONVEYOR_DATABASE_URL is set. The demonstration makes an administrator and products, "
            "and does so in the embedded database only. Unset the variable, or start your own "
            "site: manage.py migrate, then orchestrator and runner."
        )


class NotImportedError(PlatformError):
    """An example is not a good belt file."""

    code = "demo.not-imported"

    def __init__(self, outcome: ImportOutcome) -> None:
        found = [outcome.error, *(problem.message for problem in outcome.problems)]
        why = " ".join(str(each) for each in found if each)
        super().__init__(f"{outcome.label} was not imported: {why}")


def prepare_database() -> None:
    """Bring the embedded database up to date; raise NotEmbeddedError where there is another."""
    if not settings.CONVEYOR_EMBEDDED:
        raise NotEmbeddedError
    call_command("migrate", verbosity=0, interactive=False)


def import_products(repositories: Iterable[Repository]) -> None:
    """Make a product of each repository that is none yet; raise NotImportedError.

    Local paths are allowed as sources from then on: this site is its user's own.
    """
    known = set(Product.objects.values_list("name", flat=True))
    missing = [repository for repository in repositories if repository.name not in known]
    if not missing:
        return
    Configuration.objects.update_or_create(id=1, defaults={"allow_local_sources": True})
    for outcome in import_sources([str(each.server) for each in missing], ImportOptions()):
        if outcome.failed:
            raise NotImportedError(outcome)
    sources = Source.objects.filter(product__name__in=[each.name for each in missing])
    sources.update(poll_interval_s=POLL_S)


class Site:
    """Orchestrator and runner, started by ``start`` and living as long as ``parts``."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://{HOST}:{port}"
        self.logs = Path(settings.CONVEYOR_DATA_DIR) / _LOGS
        self.parts = Parts(self.logs, {**os.environ, "CONVEYOR_PUBLIC_URL": self.url})
        data = hashlib.sha256(str(settings.CONVEYOR_DATA_DIR).encode()).hexdigest()
        self.runner_name = f"demo-{data[:6]}"
        self._runner = ("--slots", str(SLOTS), "--name", self.runner_name)

    def start(self) -> None:
        """Start the parts and wait until they serve; raise what ``Parts`` raises."""
        if is_embedded():
            # The queue then lives as long as this process, and both attach to it.
            ensure_embedded_queue()
        self.parts.start("orchestrator", "orchestrator", "--host", HOST, "--port", str(self.port))
        self.parts.start("runner", "runner", *self._runner, "--drain-limit", f"{DRAIN_S:g}")
        self.parts.wait_for(self._answers, "the orchestrator answers")
        self.parts.wait_for(self._has_runner, "the runner takes jobs")

    @contextmanager
    def living(self) -> Iterator[None]:
        """Let the parts live. At their end end the jobs and the folder that they left.

        A runner of root has its folder in the system's work folder, not in the data folder.
        """
        try:
            with self.parts:
                yield
        finally:
            for attempt_id in self.running_attempts():
                lose_attempt(attempt_id, STOPPED)
            remove_place(work_dir(), self.runner_name)

    def running_attempts(self) -> list[UUID]:
        """Return the ids of the attempts that the runner has."""
        rows = Attempt.objects.filter(runner_name=self.runner_name, active_key__isnull=False)
        return list(rows.values_list("id", flat=True))

    def _answers(self) -> bool:
        try:
            with _direct.open(f"{self.url}/readyz", timeout=_ANSWER_S) as answer:
                return bool(answer.status == 200)
        except (OSError, HTTPException):
            return False

    def _has_runner(self) -> bool:
        return living_runners().filter(name=self.runner_name, said="online").exists()

    def wait_until_seen(self, repository: Repository) -> None:
        """Wait until new commits in the repository will be events."""
        source = Source.objects.filter(product__name=repository.name, first_seen_at__isnull=False)
        self.parts.wait_for(source.exists, f"the repository of {repository.name} is looked at")

    def run_of(self, repository: Repository, commit: str) -> BeltRun:
        """Return the belt run that a merged commit starts, once it is there."""
        found = BeltRun.objects.filter(
            belt__product__name=repository.name, commit=commit, branch=BRANCH
        )
        self.parts.wait_for(found.exists, f"the merge into {repository.name} starts a belt")
        run: BeltRun = found.select_related("belt__product").order_by("id")[0]
        return run
