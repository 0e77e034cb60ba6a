"""A runner is handed only jobs whose every construct it understands."""

from __future__ import annotations

import pytest

from belts.spec.shapes import InputSpec, JobSpec
from runners.protocol import PROTOCOL
from runs.protocol import CONSTRUCTS, Construct, protocol_of
from runs.rerun import rerun_belt_run
from tests.engine import Worker, job_of, publish_text, start, start_text

pytestmark = [pytest.mark.django_db, pytest.mark.database]

FILE = """
    product: gem
    belts:
      - name: build
        jobs:
          - {name: plain, commands: make, outputs: [{String: FILE}]}
          - {name: use, commands: "use ${plain.FILE}"}
"""


@pytest.mark.parametrize(
    ("job", "protocol"),
    [
        (JobSpec("plain", commands="make"), 1),
        (JobSpec("variable", commands="echo ${HOME}"), 1),
        (JobSpec("secret", commands="make", credentials=("token",)), 1),
        (JobSpec("own", commands="use ${plain.FILE}"), 2),
        (JobSpec("other", commands="use ${gem.build.plain.FILE}"), 2),
        (JobSpec("whole", commands="x", inputs=(InputSpec("product", product="gem"),)), 2),
    ],
)
def test_job_has_the_lowest_protocol_that_understands_it(job: JobSpec, protocol: int) -> None:
    assert protocol_of(job) == protocol


def test_job_with_several_constructs_has_the_highest_protocol() -> None:
    fish = Construct("fish", 3, lambda job: job.shell == "fish")
    job = JobSpec("job", shell="fish", commands="use ${plain.FILE}")
    assert protocol_of(job, (fish, *CONSTRUCTS)) == 3
    assert protocol_of(job, ()) == 1


def test_present_runners_understand_every_construct() -> None:
    assert max(each.protocol for each in CONSTRUCTS) == PROTOCOL


def test_older_runner_is_handed_plain_jobs_only() -> None:
    run = start_text(FILE)
    older = Worker(protocol=1)
    older.do(run, "plain", FILE="a.gem")
    assert job_of(run, "use").state == "queued"
    assert older.claim() is None
    assert older.claim(job_of(run, "use")) is None
    assert Worker(protocol=2).claim() is not None


def test_rerun_keeps_older_runners_away_as_well() -> None:
    publish_text(FILE)
    run = start("gem.build")
    worker = Worker()
    worker.do(run, "plain", FILE="a.gem")
    worker.do(run, "use", "failed")
    again = rerun_belt_run(run)
    assert dict(again.job_runs.values_list("name", "protocol")) == {"plain": 1, "use": 2}
