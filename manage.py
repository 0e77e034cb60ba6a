#!/usr/bin/env python
"""Command line of the Conveyor site."""

from __future__ import annotations

import os
import sys

from conveyor_site.command_line import run_command


def main() -> int:
    """Run the management command named on the command line; return its exit code."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "conveyor_site.settings")
    return run_command(sys.argv)


if __name__ == "__main__":
    sys.exit(main())
