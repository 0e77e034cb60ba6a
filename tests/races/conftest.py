from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.invariants import assert_invariants


@pytest.fixture(autouse=True)
def _invariants(transactional_db: None) -> Iterator[None]:
    """Whatever a race has done, it has broken nothing."""
    yield
    assert_invariants()
