"""Joins of unequal depth: a job waits for all of its needs, however far each of them is."""

from __future__ import annotations

import pytest

from tests.engine import Worker, deliver_all, start_text, state, states
from tests.invariants import assert_invariants

pytestmark = [pytest.mark.django_db, pytest.mark.database]

UNEQUAL = """
    product: u
    belts:
      - name: b
        jobs:
          - {name: r, commands: sleep 2}
          - {name: q, inputs: r, commands: "true"}
          - {name: p, commands: "true"}
          - {name: j, inputs: [p, q], commands: "true"}
"""


def test_short_side_of_a_join_ends_first() -> None:
    run = start_text(UNEQUAL)
    worker = Worker()
    worker.do(run, "p")
    assert states(run) == {"r": "queued", "q": "waiting", "p": "succeeded", "j": "waiting"}
    worker.do(run, "r")
    assert states(run) == {"r": "succeeded", "q": "queued", "p": "succeeded", "j": "waiting"}
    worker.do(run, "q")
    worker.do(run, "j")
    assert state(run) == "succeeded"
    deliver_all()
    assert_invariants(drained=True)


@pytest.mark.parametrize("failing", ["p", "q", "r"])
def test_failure_at_any_depth_skips_the_join(failing: str) -> None:
    run = start_text(UNEQUAL)
    worker = Worker()
    for name in ("p", "r", "q"):
        if states(run)[name] == "queued":
            worker.do(run, name, "failed" if name == failing else "succeeded")
    assert states(run)["j"] == "skipped"
    assert state(run) == "failed"
    deliver_all()
    assert_invariants(drained=True)
