"""Starts the service: ``python3 -m service``, or the packed file."""

from __future__ import annotations

import sys

from service.server import main

sys.exit(main())
