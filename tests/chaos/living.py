"""A site of real runners and orchestrators whose jobs keep a history of their own."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from random import Random

from products.models import OutboxRow
from runs.logs import read_log
from runs.models import Attempt, BeltRun, JobRun
from tests.conveyor_site.living import LivingOrchestrator
from tests.engine import publish_text, start
from tests.invariants import assert_invariants
from tests.runners.process.living import CHILDREN, LivingRunner, Site, processes_with
from tests.waiting import until

NAMES = ("first", "second", "third")
JOBS_A_BELT = 20
LINES = b"".join(b"line %d\n" % number for number in range(20))
PATIENCE_S = 90


class StormySite(Site):
    """Three runners of two slots, two orchestrators, and jobs that write down when they run."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        super().__init__(folder, environment)
        self.history = folder / "history"
        self.history.mkdir()
        self.history.chmod(0o777)
        self.orchestrators: list[LivingOrchestrator] = []

    def start_all(self) -> None:
        """Start all processes and wait for the runners."""
        self.start_orchestrators()
        self.present = {name: self.start_runner("--name", name) for name in NAMES}
        until(lambda: all(map(_is_whole, self.present.values())), "runners", patience_s=PATIENCE_S)

    def start_orchestrators(self) -> None:
        """Start two."""
        self.orchestrators += [
            LivingOrchestrator(self.folder, self.environment, "--no-web") for _ in range(2)
        ]

    def kill_orchestrators(self) -> None:
        """Kill all of them."""
        for each in self.orchestrators:
            each.close()

    def kill_one_runner(self, random: Random) -> bool:
        """Kill one, if it is whole, and start it again; return whether that was done."""
        name = random.choice(NAMES)
        runner = self.present[name]
        if not _is_whole(runner):
            return False
        runner.signal(signal.SIGKILL)
        runner.process.wait()
        self.present[name] = self.start_runner("--name", name)
        return True

    def start_jobs(self, count: int) -> list[JobRun]:
        """Start so many jobs, in runs of some belts."""
        names = [f"job-{number}" for number in range(count)]
        for path in [self.history / each for name in names for each in (name, f"{name}.log")]:
            # Each attempt has a user of its own.
            path.touch()
            path.chmod(0o666)
        lines = ["product: storm", "belts:"]
        for number, name in enumerate(names):
            if number % JOBS_A_BELT == 0:
                lines += [f"  - name: belt-{number // JOBS_A_BELT}", "    jobs:"]
            needs = ", ".join(names[number - back] for back in _needs_back(number % JOBS_A_BELT))
            lines.append(
                f"      - {{name: {name}, inputs: [{needs}], commands: '{self._script(name)}'}}"
            )
        publish_text("\n".join(lines))
        for number in range(-(-count // JOBS_A_BELT)):
            start(f"storm.belt-{number}")
        return list(JobRun.objects.order_by("id"))

    def _script(self, name: str) -> str:
        """Return commands that note when they begin and end, and all that they say, first."""
        history = self.history / name
        noted = f"$CONVEYOR_ATTEMPT $(date +%s.%N) >> {history}"
        said = f"do echo line $n >> {history}.log; echo line $n; done"
        return (
            f"echo begin {noted}; for n in $(seq 0 9); {said}; sleep 0.1; "
            f"for n in $(seq 10 19); {said}; echo end {noted}"
        )

    def unfinished(self) -> list[JobRun]:
        """Return the jobs that have not ended."""
        return list(JobRun.objects.filter(finished_at__isnull=True))

    def assert_nothing_is_lost(self) -> None:
        """Wait for the end of everything and hold what is stored against what the jobs wrote."""
        runs = BeltRun.objects.unfinished()
        until(lambda: not runs.exists(), "all runs ended", patience_s=PATIENCE_S)
        until(lambda: not OutboxRow.objects.exists(), "the outbox is empty")
        assert_invariants(drained=True)
        for row in JobRun.objects.all():
            self._compare(row)
        ids = [str(each) for each in Attempt.objects.values_list("id", flat=True)]
        until(lambda: not self._folders(ids), "no workspace is left")
        assert not [pid for each in ids for pid in processes_with(f"CONVEYOR_ATTEMPT={each}")]

    def _compare(self, row: JobRun) -> None:
        words = [line.split() for line in (self.history / row.name).read_text().splitlines()]
        begun = [attempt for what, attempt, _ in words if what == "begin"]
        ended = [attempt for what, attempt, _ in words if what == "end"]
        # No job asks for another try, so that attempts cannot overlap either.
        assert len(begun) <= 1, f"{row.name} began more than once: {words}"
        assert set(ended) <= set(begun)
        for each in Attempt.objects.filter(job_run=row):
            self._compare_log(row, each, has_begun=str(each.id) in begun)
        if row.state == "succeeded":
            [attempt] = Attempt.objects.filter(job_run=row, state="succeeded")
            assert ended == [str(attempt.id)]
            assert self._said(row) == _stored(attempt) == LINES
        else:
            # The invariants hold that a skipped job has a need that was lost.
            ends = {("errored", "runner-lost"), ("skipped", "upstream-failed")}
            assert (row.state, row.reason) in ends, row.message

    def _compare_log(self, row: JobRun, attempt: Attempt, *, has_begun: bool) -> None:
        """What is stored of an attempt, however it ended, is how that began which it said."""
        stored, said = _stored(attempt), self._said(row) if has_begun else b""
        assert said.startswith(stored), f"{attempt} said {said!r}, and stored is {stored!r}."

    def _said(self, row: JobRun) -> bytes:
        return (self.history / f"{row.name}.log").read_bytes()

    def _folders(self, ids: list[str]) -> list[Path]:
        return [path for path in self.work_dir.rglob("*") if path.name in ids and path.is_dir()]

    def close(self) -> None:
        """End all that the test has started."""
        self.kill_orchestrators()
        super().close()


def _needs_back(place: int) -> tuple[int, ...]:
    """Return how far before a job of a belt the jobs are that it needs: joins of unequal depth.

    Of every ten jobs one is at the end of a chain of three and of a single job, and the others,
    but for that chain, need nothing: enough can run side by side.
    """
    return {2: (1,), 4: (1, 2), 5: (4, 5)}.get(place % 10, ())


def _stored(attempt: Attempt) -> bytes:
    """Return what the attempt's commands wrote, without what the platform says."""
    pieces = read_log(attempt, limit=1_000_000)
    return b"".join(piece.data for piece in pieces if piece.stream != "control")


def _is_whole(runner: LivingRunner) -> bool:
    return set(runner.children) == set(CHILDREN)
