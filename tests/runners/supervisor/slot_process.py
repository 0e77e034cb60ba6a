"""A slot as a process of its own, which tests freeze and kill.

``slot_process.py slot ZYGOTE_FOLDER ASSIGNMENT`` runs one attempt and prints its result;
``slot_process.py runner ZYGOTE_FOLDER ASSIGNMENT`` starts a zygote and runs it as well. The
assignment is a JSON object of the fields of the tests' lab.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from runners.executor.shapes import Isolation, Timing
from runners.executor.zygote import ZygoteClient, ZygoteProcess
from tests.runners.executor.attempts import Lab


def main(role: str, folder: Path, fields: dict[str, Any]) -> None:
    if role == "runner":
        ZygoteProcess.start(folder)
    isolation = Isolation(**fields.pop("isolation"))
    timing = Timing(**fields.pop("timing"))
    lab = Lab(Path(fields.pop("work_dir")), ZygoteClient(folder), isolation)
    lab.reporter.on("begun", lambda: say("begun"))
    result = lab.run(fields.pop("script"), timing=timing, **fields)
    say(json.dumps({"outcome": result.outcome, "reason": result.reason}))


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3]))
