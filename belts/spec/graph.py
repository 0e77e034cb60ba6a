"""Order and circles of jobs by what they need."""

from __future__ import annotations

from collections.abc import Collection, Mapping


class CycleError(ValueError):
    """There is no order: some names need one another."""


def topological_order(needs: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """Return the names so that each comes after those it needs, else in the mapping's order.

    Needed names that are not keys are passed over. Raises CycleError when names need one another.
    """
    waiting = {name: sum(each in needs for each in set(needs[name])) for name in needs}
    followers: dict[str, list[str]] = {name: [] for name in needs}
    for name in needs:
        for needed in set(needs[name]) & needs.keys():
            followers[needed].append(name)
    order = [name for name in needs if not waiting[name]]
    for name in order:
        for follower in followers[name]:
            waiting[follower] -= 1
            if not waiting[follower]:
                order.append(follower)
    if len(order) < len(needs):
        raise CycleError("The jobs need one another in a circle.")
    return tuple(order)


def find_cycles(needs: Mapping[str, Collection[str]]) -> list[tuple[str, ...]]:
    """Return one circle of each group of names that need one another, in the mapping's order.

    A circle ``(a, b)`` means that a needs b and b needs a. Iterative: long chains are fine.
    """
    cycles: list[tuple[str, ...]] = []
    finished: set[str] = set()
    for name in needs:
        if name not in finished:
            cycles += _cycles_from(name, needs, finished)
    return cycles


def _cycles_from(
    start: str, needs: Mapping[str, Collection[str]], finished: set[str]
) -> list[tuple[str, ...]]:
    cycles: list[tuple[str, ...]] = []
    path: list[str] = [start]
    left = [sorted(needs[start])]
    while path:
        following = left[-1].pop(0) if left[-1] else None
        if following is None:
            finished.add(path.pop())
            left.pop()
        elif following in path:
            cycles.append(tuple(path[path.index(following) :]))
        elif following in needs and following not in finished:
            path.append(following)
            left.append(sorted(needs[following]))
    return cycles
