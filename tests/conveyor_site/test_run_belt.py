from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from pytest_django import Settings

from conveyor_site.run_report import report_of
from products.models import OutboxRow, Product
from runs.models import BeltRun
from tests import builders
from tests.conveyor_site.conftest import Start
from tests.conveyor_site.living import manage
from tests.engine import publish_text
from tests.own_database import REPOSITORY
from tests.waiting import PATIENCE_S

FILE = """
    product: gem
    belts:
      - name: build
        jobs:
          - name: compile
            commands: |
              echo "compiling $FLAVOUR"
              VERSION=1.2.3
            outputs:
              - String: VERSION
          - name: pack
            inputs: compile
            commands: echo "packing ${compile.VERSION}"
        downstreams:
          - downstream-product: gem
            belts: [ship]
      - name: ship
        jobs:
          - name: ship
            inputs: gem.build
            commands: echo "shipping ${gem.build.compile.VERSION}"
      - name: break
        jobs:
          - name: crack
            commands: echo going; exit 3
          - name: after
            inputs: crack
            commands: "true"
      - name: linger
        jobs:
          - name: linger
            commands: echo here; sleep 300
"""


def run_belt(*arguments: str) -> str:
    said = StringIO()
    call_command("run_belt", *arguments, stdout=said)
    return said.getvalue()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("gem.bild", 'Did you mean "gem.build"?'),
        ("gme.build", 'Did you mean "gem.build"?'),
        ("gem", "gem.build"),
        ("x" * 300, "The belts here are"),
        ("\x1b[31mred", "The belts here are"),
        ("gem.buil\udcff", "gem.build"),
    ],
)
def test_an_unknown_belt_is_a_sentence_with_what_is_near(name: str, hint: str) -> None:
    publish_text(FILE)
    with pytest.raises(CommandError) as raised:
        run_belt(name)
    assert hint in str(raised.value)
    assert "\x1b" not in str(raised.value)
    assert not BeltRun.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--ref", "main"], "has no source, so there is no ref main"),
        (["-i", "a b=c"], "cannot name a parameter"),
        (["-i", "novalue"], "'novalue' is not NAME=VALUE."),
        (["-i", "A=1", "-i", "A=2"], "The input A is given more than once."),
        (["--ref", ""], "--ref is empty."),
        (["-i", "A=\udcff"], r"Leave out the character U\+DCFF, which no text may hold"),
        (["--ref", "\udcff"], r"Leave out the character U\+DCFF, which no text may hold"),
    ],
)
def test_what_cannot_be_started_is_a_sentence(arguments: list[str], sentence: str) -> None:
    publish_text(FILE)
    with pytest.raises(CommandError, match=sentence):
        run_belt("gem.build", *arguments)
    assert not BeltRun.objects.exists()
    assert not OutboxRow.objects.exists()


@pytest.mark.django_db
def test_archived_product_is_named_as_the_reason() -> None:
    publish_text(FILE)
    Product.objects.update(archived_at=Now())
    with pytest.raises(CommandError, match=r"product gem is archived\. Restore it in the admin"):
        run_belt("gem.build")


@pytest.mark.django_db
def test_each_unknown_name_is_reported_once() -> None:
    publish_text("""
        product: gem
        belts:
          - name: build
            jobs:
              - name: compile
                commands: echo ${nil.build.VERSION} ${void.build.VERSION}
              - name: pack
                commands: echo ${nil.build.VERSION}
    """)
    with pytest.raises(CommandError) as raised:
        run_belt("gem.build")
    said = str(raised.value)
    assert said.startswith("gem.build cannot be started:\n  In ${nil.build.VERSION} the name")
    assert (said.count('"nil"'), said.count('"void"')) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_unreachable_queue_is_a_sentence(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CONVEYOR_BROKER_URL = "redis://127.0.0.1:1/0"
    publish_text(FILE)
    complaints = StringIO()
    call_command("run_belt", "gem.build", stdout=StringIO(), stderr=complaints)
    assert complaints.getvalue().startswith("The queue accepts no message (Error 111 connecting to")
    assert complaints.getvalue().endswith("when runners poll for them.\n")
    assert caplog.records == []


@pytest.mark.django_db
def test_a_started_belt_is_named_with_its_page() -> None:
    publish_text(FILE)
    said = run_belt("gem.build", "-i", "FLAVOUR=mint=x", "-i", "EMPTY=")
    run = BeltRun.objects.get()
    assert said.startswith(f"gem.build #1 was started: http://127.0.0.1:8000/belt-runs/{run.id}/")
    assert "Jobs wait. No runner serves queue default. Start one with: manage.py runner" in said
    assert "manage.py runner --queues default" in said
    assert run.parameters == {"FLAVOUR": "mint=x", "EMPTY": ""}
    assert "(run_belt)" in run.cause
    builders.a_runner()
    assert "No runner serves" not in run_belt("gem.build")


@pytest.mark.django_db
def test_unserved_queue_is_named_beside_other_runners() -> None:
    publish_text(FILE.replace("name: compile", "name: compile\n            queue: gpu"))
    builders.a_runner()
    assert "Jobs wait. No runner serves queue gpu." in run_belt("gem.build")


@pytest.mark.processes
def test_link_leads_to_the_site_that_is_served(start: Start, environment: dict[str, str]) -> None:
    publish_text(FILE)
    orchestrator = start().ready()
    served = manage("run_belt", "gem.build", environment=environment)
    assert f"gem.build #1 was started: {orchestrator.url}/belt-runs/" in served.stdout
    given = {**environment, "CONVEYOR_PUBLIC_URL": "https://ci.example.org"}
    public = manage("run_belt", "gem.build", environment=given)
    assert "gem.build #2 was started: https://ci.example.org/belt-runs/" in public.stdout
    orchestrator.end()
    stale = manage("run_belt", "gem.build", environment=environment)
    assert "gem.build #3 was started: http://127.0.0.1:8000/belt-runs/" in stale.stdout


@pytest.mark.django_db
def test_values_in_the_table_are_short_and_safe() -> None:
    run = builders.a_belt_run({"compile": "succeeded", "pack": "failed"})
    job = run.job_runs.get(name="compile")
    builders.an_output(job, name="LONG", value="v" * 100)
    builders.an_output(job, name="COLOURED", value="\x1b[31mred\n")
    assert report_of(run, chain=False) == [
        f"{run} failed",
        f"  compile  succeeded  COLOURED=\\x1b[31mred\\n  LONG={'v' * 60}… (40 more)",
        "  pack     failed",
    ]


@pytest.fixture
def site(start: Start, folder: Path, environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """A site of processes with one runner; its environment."""
    publish_text(FILE)
    start().ready()
    isolation = ("--isolation", "uid") if os.geteuid() == 0 else ()
    command = [sys.executable, "manage.py", "runner", "--slots", "2", *isolation]
    with (folder / "runner.log").open("wb") as log:
        runner = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=log, stderr=log)
    yield environment
    runner.kill()
    runner.wait()


@pytest.mark.processes
@pytest.mark.database
def test_a_chain_is_followed_to_its_end(site: dict[str, str]) -> None:
    done = manage("run_belt", "gem.build", "--follow", "--chain", environment=site)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(
        "\ngem.build #1 succeeded\n  compile  succeeded  VERSION=1.2.3\n  pack     succeeded\n"
        "gem.ship #1 succeeded\n  ship  succeeded\n"
    )
    for line in ("compile | compiling", "pack | packing 1.2.3", "ship | shipping 1.2.3"):
        assert line in done.stdout
    assert "\x1b" not in done.stdout

    failed = manage("run_belt", "gem.break", "--follow", environment=site)
    assert failed.returncode == 1
    assert "crack | going" in failed.stdout
    assert "  crack  failed" in failed.stdout
    assert failed.stdout.count("The commands ended with exit status 3.") == 1
    assert failed.stdout.count("This job waits for job crack, which failed.") == 1
    assert "  after  skipped" in failed.stdout


@pytest.mark.processes
def test_ctrl_c_ends_the_following_and_not_the_run(site: dict[str, str]) -> None:
    follower = subprocess.Popen(
        [sys.executable, "manage.py", "run_belt", "gem.linger", "--follow"],
        cwd=REPOSITORY,
        env=site,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert follower.stdout is not None
    assert any("linger | here" in line for line in follower.stdout)
    follower.send_signal(signal.SIGINT)
    said, complaint = follower.communicate(timeout=PATIENCE_S)
    assert follower.returncode == 130, complaint
    run = BeltRun.objects.get()
    assert re.search(
        rf"gem\.linger #1 continues\. To cancel it, open http://127\.0\.0\.1:\d+/belt-runs/{run.id}/",
        said,
    )
    assert complaint == ""
    assert run.state == "running"
    assert run.cancel_requested_at is None


def test_a_database_that_is_down_is_a_sentence(folder: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "CONVEYOR_DATA_DIR": str(folder),
        "CONVEYOR_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    }
    done = manage("run_belt", "gem.build", environment=environment)
    assert done.returncode == 1
    assert "The database cannot be used" in done.stderr
    assert "Check that CONVEYOR_DATABASE_URL is correct" in done.stderr
    assert "Traceback" not in done.stderr
