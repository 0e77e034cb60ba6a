"""Belts that start one another in a loop, by downstreams and upstream-build triggers.

Such a chain continues until the engine's limit of its length ends it. Few authors want that, so it
is a warning.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from belts.spec.catalogue import Catalogue
from belts.spec.graph import find_cycles
from belts.spec.places import located
from belts.spec.problems import Problem
from belts.spec.shapes import BeltFile

#: The largest number of belts that is followed, including those of other products.
_MOST_BELTS = 500
_HINT = "Each round is another run, until the chain is as long as it may be. Take one start away."


def loop_problems(file: BeltFile, catalogue: Catalogue) -> Iterator[Problem]:
    """Yield a warning for each loop that a belt of the file is in."""
    starts = _Starts(file, catalogue)
    own = [f"{file.product}.{belt.name}" for belt in file.belts if belt.name]
    for found in find_cycles(starts.from_each_of(own)):
        first = next((index for index, name in enumerate(found) if name in own), None)
        if first is not None and file.product:
            circle = found[first:] + found[:first]
            inside = all(name in own for name in circle)
            yield located(_warning(circle, inside=inside), file, starts.place(circle))


def _warning(circle: tuple[str, ...], *, inside: bool) -> Problem:
    message = f"The belt {circle[0]} starts itself."
    if len(circle) > 1:
        chain = " starts ".join((*circle, circle[0]))
        message = f"These belts start one another in a loop: {chain}."
    return Problem("belt.loop" if inside else "downstream.loop", "warning", message, _HINT)


class _Starts:
    """Which belt starts which, as far as the file, and those of the products it names, tell."""

    def __init__(self, file: BeltFile, catalogue: Catalogue) -> None:
        self.file = file
        self.catalogue = catalogue
        self.known: dict[str, dict[str, dict[str, str]]] = {}

    def from_each_of(self, names: list[str]) -> dict[str, list[str]]:
        """Return the belts that each belt starts, of these and all that follow them."""
        found: dict[str, list[str]] = {}
        left = deque(names)
        while left and len(found) < _MOST_BELTS:
            name = left.popleft()
            if name not in found:
                found[name] = list(self._of(name))
                left += found[name]
        return {name: [each for each in found[name] if each in found] for name in found}

    def place(self, circle: tuple[str, ...]) -> str:
        """Return the path in the file of a start that is part of the circle."""
        own = self._starts_of_file(self.file)
        steps = zip(circle, (*circle[1:], circle[0]), strict=True)
        return next((own[a][b] for a, b in steps if b in own.get(a, ())), "belts")

    def _of(self, name: str) -> dict[str, str]:
        product = name.partition(".")[0]
        found = dict(self._starts_of_file(self.file).get(name, {}))
        other = None if product == self.file.product else self.catalogue.product(product)
        if other is not None:
            found.update(self._starts_of_file(other).get(name, {}))
        return found

    def _starts_of_file(self, file: BeltFile) -> dict[str, dict[str, str]]:
        if file.product not in self.known:
            self.known[file.product] = _said_in(file)
        return self.known[file.product]


def _said_in(file: BeltFile) -> dict[str, dict[str, str]]:
    """Return the paths of the starts in a file: by belt, then by the belt that is started."""
    found: dict[str, dict[str, str]] = {}
    for index, belt in enumerate(file.belts):
        path = f"belts[{index}]"
        starts = found.setdefault(f"{file.product}.{belt.name}", {})
        jobs = [(job.downstreams, f"{path}.jobs[{n}]") for n, job in enumerate(belt.jobs)]
        for downstreams, holder in ((belt.downstreams, path), *jobs):
            for number, downstream in enumerate(downstreams):
                for position, started in enumerate(downstream.belts):
                    entry = f"{holder}.downstreams[{number}].belts[{position}]"
                    starts.setdefault(f"{downstream.product}.{started}", entry)
    for index, trigger in enumerate(file.triggers):
        if trigger.upstream_product and trigger.upstream_belt:
            upstream = f"{trigger.upstream_product}.{trigger.upstream_belt}"
            for position, started in enumerate(trigger.belts):
                entry = f"triggers[{index}].belts[{position}]"
                found.setdefault(upstream, {}).setdefault(f"{file.product}.{started}", entry)
    return found
