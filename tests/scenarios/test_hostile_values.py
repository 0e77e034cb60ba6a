"""Values that would like to be more than values, through real processes from product to product."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from belts.importing import ImportOptions, import_sources
from runs.models import Consumption, Output
from tests.scenarios.living import ScenarioSite

pytestmark = [pytest.mark.database, pytest.mark.processes]

SENDER = """\
product: sender
belts:
  - name: send
    jobs:
      - name: send
        inputs: source
        shell: python
        commands: |
          import json, os

          with open(os.environ["CONVEYOR_OUTPUT"], "w") as outputs:
              for name, value in json.load(open("values.json")).items():
                  outputs.write(f"{name}<<THE-END\\n{value}\\nTHE-END\\n")
        outputs: [OUTPUTS]
        downstreams:
          - {downstream-product: receiver, belts: receive}
"""
RECEIVER = """\
product: receiver
belts:
  - name: receive
    jobs:
"""
JOB = """\
      - name: take-NAME
        env:
          COPY: "<${sender.NAME}>"
        pre-run: QUOTED="$(printf %s "${sender.NAME}" | base64 -w0)"
        commands: |
          IN_ENV="$(printf %s "$COPY" | base64 -w0)"
          printf '[%s]' ${sender.NAME}
          cat <<END
          ${sender.NAME}
          END
          AGAIN="${sender.NAME}"
        post-run: test "$(printf %s "${sender.NAME}" | base64 -w0)" = "BASE64"
        outputs: [QUOTED, IN_ENV, AGAIN]
"""


def hostile(canary: Path) -> dict[str, str]:
    """Return values by name; each would make the file ``canary`` if something executed it."""
    touch = f"touch {canary}"
    return {
        "QUOTES": f"'; {touch}; '\" ; {touch}; \"",
        "SUBSTITUTION": f"$({touch}) `{touch}` ${{IFS}}$({touch})",
        "SEPARATORS": f"a; {touch} & {touch} | {touch} && {touch} > {canary}",
        "LINES": f"first\nTHE END\n  {touch}\n\ttab\r\n\nlast",
        "GLOBS": "* ? [a-z]* ~ {a,b} !! \\* **/*",
        "DASHES": "--help -rf -- -e",
        "ENDS": "\n\n blank at both ends \n\n",
        "REFERENCE": "${sender.QUOTES} ${CONVEYOR_REF_1} $COPY",
        "ARITHMETIC": f"a[$({touch})]",
        "WIDE": "Ünïcödé 漢字 🚚 \u202e ‘quotes’",
        "ESCAPES": "\x1b[31mred\x07 \\n \\x41 %s %n",
        "EMPTY": "",
    }


def receiver(values: dict[str, str]) -> str:
    jobs = (
        JOB.replace("NAME", name).replace("BASE64", base64.b64encode(value.encode()).decode())
        for name, value in values.items()
    )
    return RECEIVER + "".join(jobs)


def test_values_arrive_byte_for_byte_and_never_execute(site: ScenarioSite, folder: Path) -> None:
    open_to_all = folder / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    canary = open_to_all / "canary"
    values = hostile(canary)
    source = site.repository(
        "sender",
        {
            ".conveyor.yml": SENDER.replace("OUTPUTS", ", ".join(values)),
            "values.json": json.dumps(values),
        },
    )
    target = site.repository("receiver", {".conveyor.yml": receiver(values)})
    for repository in (source, target):
        options = ImportOptions(source=str(repository))
        assert not import_sources([str(repository)], options)[0].failed
    site.start()

    done = site.manage("run_belt", "sender.send", "--follow", "--chain")

    assert done.returncode == 0, done.stdout + done.stderr
    assert not canary.exists()
    sent = Output.objects.filter(job_run__name="send")
    assert dict(sent.values_list("name", "value")) == values
    for name, value in values.items():
        assert Consumption.objects.get(consumer__name=f"take-{name}").value == value
        rows = Output.objects.filter(job_run__name=f"take-{name}")
        got = dict(rows.values_list("name", "value"))
        assert base64.b64decode(got["QUOTED"]) == value.encode()
        assert base64.b64decode(got["IN_ENV"]) == f"<{value}>".encode()
        assert got["AGAIN"] == value
