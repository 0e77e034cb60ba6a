"""The results of the benchmark: one figure a row, with its reference and its goal."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound of the ratio of ours to the reference; ``more`` is added to the reference first."""

    bound: float
    at_least: bool = False
    more: float = 0.0

    def met_by(self, ours: float, reference: float) -> bool:
        """Whether the figures keep it."""
        limit = self.bound * (reference + self.more)
        return ours >= limit if self.at_least else ours <= limit

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        more = f" + {self.more:g}" if self.more else ""
        return f"{sign} {self.bound:g} x{more}"


@dataclass(frozen=True, slots=True)
class Row:
    """A row that was measured: the figures of each round, in the order of the rounds."""

    name: str
    what: str
    reference_is: str
    unit: str
    goal: Goal
    level: str
    ours: Sequence[float]
    reference: Sequence[float]
    notes: Sequence[str] = ()

    @property
    def median(self) -> float:
        """The median of our figures."""
        return statistics.median(self.ours)

    @property
    def reference_median(self) -> float:
        """The median of the reference's figures."""
        return statistics.median(self.reference)

    @property
    def ratio(self) -> float:
        """Ours as a multiple of the reference."""
        return self.median / self.reference_median

    @property
    def met(self) -> bool:
        """Whether the goal is met."""
        return self.goal.met_by(self.median, self.reference_median)

    def to_document(self) -> dict[str, Any]:
        """Return everything as JSON can carry it."""
        return {
            "row": self.name,
            "what": self.what,
            "reference_is": self.reference_is,
            "unit": self.unit,
            "goal": {
                "bound": self.goal.bound,
                "at_least": self.goal.at_least,
                "more": self.goal.more,
            },
            "level": self.level,
            "ours": list(self.ours),
            "reference": list(self.reference),
            "notes": list(self.notes),
            "median": self.median,
            "reference_median": self.reference_median,
            "ratio": self.ratio,
            "met": self.met,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Row:
        """Return the row that ``to_document`` described."""
        plain = ("what", "reference_is", "unit", "level", "ours", "reference", "notes")
        given: dict[str, Any] = {key: document[key] for key in plain}
        return cls(name=document["row"], goal=Goal(**document["goal"]), **given)


@dataclass(frozen=True, slots=True)
class NotRun:
    """A row that could not be measured here, with the sentence why."""

    name: str
    why: str

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON can carry it."""
        return {"row": self.name, "not_run": self.why}


@dataclass(frozen=True, slots=True)
class Report:
    """All rows of one kind of site."""

    site: str
    rows: Sequence[Row | NotRun] = field(default_factory=list)

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON can carry it."""
        return {"site": self.site, "rows": [row.to_document() for row in self.rows]}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Report:
        """Return the report that ``to_document`` described."""
        rows: list[Row | NotRun] = [
            NotRun(each["row"], each["not_run"]) if "not_run" in each else Row.from_document(each)
            for each in document["rows"]
        ]
        return cls(document["site"], rows)
