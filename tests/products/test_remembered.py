"""What a process remembers: the values that were used last, and no more of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from products.remembered import Remembered

SIZE = 4


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8))))
def test_remembered_values_are_those_used_last(uses: list[tuple[bool, int]]) -> None:
    """Beside a plain list of all uses, of which the last few different keys are known."""
    remembered: Remembered[int, str] = Remembered(SIZE)
    plain: list[int] = []
    for is_put, key in uses:
        if is_put:
            remembered.put(key, f"value {key}")
        assert (remembered.get(key) is not None) == (is_put or key in plain)
        if is_put or key in plain:
            plain = [key, *[each for each in plain if each != key]][:SIZE]
    assert {key for key in range(9) if remembered.get(key) is not None} == set(plain)


def test_value_that_was_used_longest_ago_is_forgotten_first() -> None:
    remembered: Remembered[int, str] = Remembered(SIZE)
    for key in range(SIZE + 1):
        remembered.put(key, "value")
    assert [key for key in range(SIZE + 1) if remembered.get(key) is None] == [0]


def test_put_value_replaces_the_one_before() -> None:
    remembered: Remembered[str, str] = Remembered(SIZE)
    remembered.put("key", "old")
    remembered.put("key", "new")
    assert remembered.get("key") == "new"
