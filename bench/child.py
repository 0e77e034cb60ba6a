"""The measuring process of one site: configured by its environment, it measures the rows."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import django

django.setup()

# Models can only be imported now.
from bench import logs, memory, sandboxed, speed  # noqa: E402
from bench.figures import NotRun, Report, Row  # noqa: E402
from bench.processes import NotMeasuredError  # noqa: E402
from bench.site import Site, a_site  # noqa: E402

Measure = Callable[[Site, int], Row]
#: What measures each row, in the order in which they are measured.
MEASURES: Mapping[str, Measure] = {
    "jobs": speed.jobs,
    "hops": speed.hops,
    "first-command": speed.first_command,
    "runner-memory": memory.runner_memory,
    "orchestrator-memory": memory.orchestrator_memory,
    "log": logs.log,
    "log-memory": logs.log_memory,
    "sandbox": sandboxed.sandbox,
}


def measure(site: Site, names: Sequence[str], rounds: int) -> list[Row | NotRun]:
    """Return the rows of these names, each measured or with the sentence why not."""
    rows: list[Row | NotRun] = []
    for name in names:
        sys.stderr.write(f"  {name} …\n")
        try:
            rows.append(MEASURES[name](site, rounds))
        except NotMeasuredError as error:
            rows.append(NotRun(name, str(error)))
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write the report to the file that was named."""
    parser = argparse.ArgumentParser(prog="python -m bench.child")
    parser.add_argument("--site", required=True)
    parser.add_argument("--rows", nargs="+", choices=MEASURES, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with a_site(options.folder) as site:
        rows = measure(site, options.rows, options.rounds)
    options.report.write_text(json.dumps(Report(options.site, rows).to_document()))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
