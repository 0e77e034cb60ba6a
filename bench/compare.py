"""``python -m bench.compare CHECKOUT``: this checkout beside another one, in alternate rounds.

Each round measures both, in changing order, so that other load on the machine affects both alike.
A ratio above 1 means that this checkout is faster. The other checkout needs its own ``.venv``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.__main__ import ROWS
from bench.places import SITES
from bench.processes import ROOT

#: The rows whose figures are better when they are larger.
_RATES = {"jobs"}
_PYTHON = Path(".venv/bin/python")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; return the exit code: 1 if a measurement failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("other", type=Path, metavar="CHECKOUT", help="the folder to compare with")
    parser.add_argument("--only", action="append", choices=ROWS, metavar="ROW")
    parser.add_argument("--on", choices=SITES, default="postgres", help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=15, help="default: %(default)s")
    options = parser.parse_args(arguments)
    rows = options.only or ["jobs", "hops", "first-command", "runner-memory"]
    checkouts = {"this": ROOT, "other": options.other.resolve()}
    figures: dict[tuple[str, str], list[float]] = {}
    for number in range(options.rounds):
        for name in sorted(checkouts, reverse=number % 2 == 0):
            measured = _measure(checkouts[name], rows, options.on)
            if measured is None:
                return 1
            for row, figure in measured.items():
                figures.setdefault((row, name), []).append(figure)
        print(f"round {number + 1}: " + "  ".join(_last(figures, row) for row in rows), flush=True)
    print()
    for row in rows:
        ratios = [_ratio(row, *pair) for pair in _pairs(figures, row)]
        low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
        print(f"{row}: median {middle:.3f} x of the other, from {low:.3f} to {high:.3f}")
    return 0


def _measure(checkout: Path, rows: Sequence[str], site: str) -> dict[str, float] | None:
    """Return the median of one round's figures by row, None if it failed."""
    with tempfile.TemporaryDirectory(prefix="conveyor-compare-") as folder:
        report = Path(folder) / "report.json"
        command = [str(checkout / _PYTHON), "-m", "bench", "--rounds", "1", "--on", site]
        command += ["--json", str(report), *(word for row in rows for word in ("--only", row))]
        done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stderr, file=sys.stderr)
            return None
        [document] = json.loads(report.read_text())["sites"]
        return {each["row"]: each["median"] for each in document["rows"]}


def _pairs(figures: dict[tuple[str, str], list[float]], row: str) -> list[tuple[float, float]]:
    return list(zip(figures[row, "this"], figures[row, "other"], strict=True))


def _last(figures: dict[tuple[str, str], list[float]], row: str) -> str:
    return f"{row} {_ratio(row, *_pairs(figures, row)[-1]):.2f}"


def _ratio(row: str, this: float, other: float) -> float:
    return this / other if row in _RATES else other / this


if __name__ == "__main__":
    sys.exit(main())
