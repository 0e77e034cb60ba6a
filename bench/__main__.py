"""``python -m bench``: measure, and print each figure beside its reference and its goal."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.figures import Report
from bench.places import DATA_DIR, SITES
from bench.processes import ROOT
from bench.table import table_of

ROWS = (
    "jobs",
    "hops",
    "first-command",
    "runner-memory",
    "orchestrator-memory",
    "log",
    "log-memory",
    "sandbox",
)
INTERRUPTED = 130

_LEAVE_S = 30.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; return the exit code: 1 if no report came."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    reports = []
    for name in options.on or SITES:
        print(f"On {name}:", file=sys.stderr)
        report = _measure(name, options.only or ROWS, options.rounds)
        if report is None:
            return 1
        print(table_of(report), flush=True)
        reports.append(report)
    if options.json is not None:
        options.json.write_text(json.dumps(_document(reports), indent=2))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=ROWS, metavar="ROW", help=f"of {', '.join(ROWS)}"
    )
    parser.add_argument("--on", action="append", choices=SITES, help="default: both")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    return parser


def _measure(site: str, rows: Sequence[str], rounds: int) -> Report | None:
    """Return what a process of its own has measured, None if it failed; it says why itself."""
    with SITES[site]() as environment:
        folder = Path(environment[DATA_DIR]).parent
        report = folder / "report.json"
        command = [sys.executable, "-m", "bench.child", "--site", site]
        command += ["--rows", *rows, "--rounds", str(rounds)]
        command += ["--folder", str(folder), "--report", str(report)]
        with subprocess.Popen(command, cwd=ROOT, env=dict(environment)) as child:
            try:
                child.wait()
            except KeyboardInterrupt:
                child.send_signal(signal.SIGINT)
                child.wait(_LEAVE_S)
                raise
        if child.returncode:
            _show_logs(folder)
            return None
        return Report.from_document(json.loads(report.read_text()))


def _show_logs(folder: Path) -> None:
    for log in sorted(folder.glob("*.log")):
        lines = log.read_text(errors="replace").splitlines()[-15:]
        if lines:
            print(f"--- {log.name}", *lines, sep="\n", file=sys.stderr)


def _document(reports: Sequence[Report]) -> dict[str, object]:
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processors": os.cpu_count(),
        "python": sys.version.split()[0],
        "sites": [report.to_document() for report in reports],
    }


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
