"""Builders of rows: each makes what it needs, and a test says only what it is about.

They insert rows directly and run no verb, so a state may be built that takes long to reach. Names
are unique where the test gives none.
"""

from __future__ import annotations

from tests.builders.belts import a_belt, a_commit_file, a_definition, a_trigger
from tests.builders.people import a_member, a_token, a_user
from tests.builders.products import a_credential, a_product, a_source, an_event
from tests.builders.runners import a_fleet, a_runner
from tests.builders.runs import a_belt_run, a_job_run, a_queued_job_run, an_attempt
from tests.builders.values import a_consumption, a_log, a_supplier, an_edge, an_output

__all__ = [
    "a_belt",
    "a_belt_run",
    "a_commit_file",
    "a_consumption",
    "a_credential",
    "a_definition",
    "a_fleet",
    "a_job_run",
    "a_log",
    "a_member",
    "a_product",
    "a_queued_job_run",
    "a_runner",
    "a_source",
    "a_supplier",
    "a_token",
    "a_trigger",
    "a_user",
    "an_attempt",
    "an_edge",
    "an_event",
    "an_output",
]
