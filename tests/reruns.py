"""Which failed tests run again: those with deadlines of real processes and browsers, and no others.

A retry hides a race that fails one time in three, so the tests of races, of kills and of the model
have none, whatever they start. The summary of the session counts the retries; a test that needed
one is a bug.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

_RERUNS = 2
_NEVER = ("tests/chaos/", "tests/races/", "tests/model/")


def mark_reruns(items: Iterable[pytest.Item]) -> None:
    """Let each test that is marked ``processes`` run up to twice more after a failure."""
    for item in items:
        if item.get_closest_marker("processes") and not item.nodeid.startswith(_NEVER):
            item.add_marker(pytest.mark.flaky(reruns=_RERUNS, reruns_delay=1))
