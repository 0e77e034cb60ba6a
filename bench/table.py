"""A report as a table for terminals."""

from __future__ import annotations

from collections.abc import Iterator

from bench.figures import NotRun, Report, Row

_HEAD = ("row", "level", "ours", "reference", "ratio", "goal", "met")


def table_of(report: Report) -> str:
    """Return the report as lines of text: the figures, then what each of them is."""
    cells = [_HEAD, *(_cells(row) for row in report.rows if isinstance(row, Row))]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]
    lines += [f"{row.name}: NOT RUN: {row.why}" for row in report.rows if isinstance(row, NotRun)]
    lines += ["", *(line for row in report.rows if isinstance(row, Row) for line in _said(row))]
    return "\n".join([f"\n{report.site}", "", *lines, ""])


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        row.level,
        f"{_number(row.median)} {row.unit}",
        f"{_number(row.reference_median)} {row.unit}",
        f"{row.ratio:.2f} x",
        str(row.goal),
        "yes" if row.met else "NO",
    )


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _said(row: Row) -> Iterator[str]:
    low, high = min(row.ours), max(row.ours)
    yield f"{row.name}: {row.what}; beside {row.reference_is}."
    yield f"    {len(row.ours)} rounds, ours from {_number(low)} to {_number(high)} {row.unit}."
    yield from (f"    {note}." for note in row.notes)
