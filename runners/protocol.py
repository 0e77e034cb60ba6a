"""Which claims a runner of this version understands."""

from __future__ import annotations

#: Counted up when a claim or an assignment changes so that older runners would misread it. A job
#: run carries the lowest protocol that understands it, and no older runner is handed it.
PROTOCOL = 1

#: The version that a runner shows; the same as in pyproject.toml.
VERSION = "0.1.0"
