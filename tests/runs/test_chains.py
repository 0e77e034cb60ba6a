"""Where a chain stands, for those who watch it."""

from __future__ import annotations

import pytest

from runs.cancel import cancel_job_run
from runs.chains import state_of, whole_chain
from tests.engine import Worker, job_of, start_text

pytestmark = [pytest.mark.django_db, pytest.mark.database]

TWO = """
    product: gem
    belts:
      - name: build
        jobs: [{name: first, commands: "true"}, {name: second, commands: "true"}]
"""


def test_the_version_of_a_chain_differs_after_every_move_in_it() -> None:
    run = start_text(TWO)
    worker = Worker()
    versions = []

    def look() -> None:
        versions.append(state_of(whole_chain(run)).version)

    look()
    claim = worker.claim()
    look()
    assert claim is not None
    worker.start(claim)
    look()
    worker.end(claim.attempt_id)
    look()
    worker.begun(run, "second")
    look()
    cancel_job_run(job_of(run, "second"), by="Eve")
    look()
    assert len(set(versions)) == 6
    look()
    assert versions[-1] == versions[-2]
