"""Parts of the suite that could not run here: a line for each, and a failure where CI=true."""

from __future__ import annotations

import os
from collections import Counter

import pytest


class PartsNotRun:
    """A plugin that counts skipped tests by their reasons."""

    def __init__(self) -> None:
        self._reasons: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a skipped test."""
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a skipped file."""
        self._note(report)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and isinstance(report.longrepr, tuple):
            reason = report.longrepr[2].removeprefix("Skipped: ")
            self._reasons[reason.removeprefix("NOT RUN: ")] += 1

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a session of continuous integration that is not whole."""
        if self._reasons and os.environ.get("CI") == "true" and not session.exitstatus:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name the parts."""
        for reason, count in sorted(self._reasons.items()):
            tests = "one test" if count == 1 else f"{count} tests"
            terminalreporter.write_line(f"NOT RUN: {reason} ({tests})")
