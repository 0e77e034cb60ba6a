"""Which claims a runner of this version understands."""

from __future__ import annotations

#: The highest protocol that this runner understands. It is counted up together with an entry of
#: ``runs.protocol``, which gives each job run the lowest protocol that understands it. No older
#: runner is handed that job run.
PROTOCOL = 2

#: The version that a runner shows; the same as in pyproject.toml.
VERSION = "0.1.0"
