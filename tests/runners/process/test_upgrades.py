"""An upgrade beside a runner of the version before: its job goes on, it gets nothing new."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.db import connection, models

from runners.protocol import PROTOCOL
from runs.models import Attempt, BeltRun, JobRun, Output
from tests.own_database import REPOSITORY, OwnDatabase
from tests.runners.process.living import Site
from tests.waiting import until

pytestmark = [pytest.mark.processes, pytest.mark.database]

#: What a migration may add while runners of the version before go on (see CONTRIBUTING.md).
TABLES = (BeltRun, JobRun, Attempt, Output)


def add_columns_and_an_index() -> None:
    """Change the tables of runs as the migrations of a next version may."""
    with connection.schema_editor() as editor:
        for model in TABLES:
            note = models.TextField(null=True)
            note.set_attributes_from_name("note_of_next_version")
            editor.add_field(model, note)
            count = models.PositiveIntegerField(db_default=0)
            count.set_attributes_from_name("count_of_next_version")
            count.model = model
            editor.add_field(model, count)
        editor.add_index(JobRun, models.Index(fields=["name"], name="job_run_of_next_version"))


def test_a_job_goes_on_and_the_next_one_begins_while_the_tables_change(
    site: Site, own_database: OwnDatabase
) -> None:
    runner = site.runner()
    row = site.queue_jobs("echo begun; sleep 3; echo over; OUT=1", outputs=())[0]
    site.running(row)
    add_columns_and_an_index()
    migrated = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], **own_database.environment},
        check=False,
        capture_output=True,
        text=True,
    )
    assert migrated.returncode == 0, migrated.stderr
    assert site.ended(row)[0].state == "succeeded"
    assert site.log(row) == "begun\nover\n"
    assert site.ended(*site.queue_jobs("true"))[0].state == "succeeded"
    assert runner.drain() == 0


def test_a_runner_is_handed_no_job_that_it_does_not_understand(site: Site) -> None:
    site.runner()
    newer = site.queue_jobs("true", hint=False)[0]
    JobRun.objects.filter(id=newer.id).update(protocol=PROTOCOL + 1)
    for _ in range(3):
        site.hint([newer])
    # The one that it does understand comes later and is run all the same.
    known = site.queue_jobs("true")[0]
    assert site.ended(known)[0].state == "succeeded"
    polled = site.queue_jobs("true", hint=False)[0]
    until(lambda: site.state(polled) == "succeeded", "the runner has polled")
    assert site.state(newer) == "queued"
    assert not Attempt.objects.filter(job_run=newer).exists()
