from __future__ import annotations

import json
import os
import signal
import subprocess
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from celery import Celery
from django.utils import timezone
from django_celery_results.models import TaskResult

from products.models import Duty, OutboxRow
from runners.settings_block import SYSTEM_QUEUE
from runners.site_mark import options_of_site
from runs.models import Attempt
from tests import builders
from tests.conveyor_site.conftest import Start
from tests.conveyor_site.living import LivingOrchestrator, is_alive, manage
from tests.postgres import free_port
from tests.queue_server import QueueServer
from tests.waiting import until

pytestmark = [pytest.mark.processes, pytest.mark.database]

#: By the names that ``ps`` shows, which the kernel cuts.
CHILDREN = {"reconc", "worker", "web"}


def queue_server(environment: dict[str, str]) -> int:
    lock = Path(environment["CONVEYOR_DATA_DIR"]) / "embedded.lock"
    try:
        return int(json.loads(lock.read_text())["pid"])
    except (OSError, ValueError):
        return 0


def family(orchestrator: LivingOrchestrator, environment: dict[str, str]) -> list[int]:
    """Wait until all processes are there and return their ids."""
    until(lambda: len(_roles(orchestrator)) == 3, "the orchestrator has its children")
    pids = {*orchestrator.children().values(), queue_server(environment)}
    return [orchestrator.process.pid, *pids]


def _roles(orchestrator: LivingOrchestrator) -> dict[str, int]:
    children = orchestrator.children()
    return {name: pid for name, pid in children.items() if name in CHILDREN}


def a_due_row() -> UUID:
    run = builders.a_belt_run()
    row = OutboxRow.objects.create(
        kind="release", key=f"release:{run.id}", payload={"belt_run": str(run.id)}
    )
    return row.id


def delivered(*row_ids: UUID) -> bool:
    return not OutboxRow.objects.filter(id__in=row_ids).exists()


def test_it_serves_and_ends_on_a_signal_leaving_nothing(
    start: Start, environment: dict[str, str]
) -> None:
    orchestrator = start().ready()
    assert orchestrator.get("/healthz") == (200, "Conveyor is up.\n")
    assert orchestrator.get("/login/")[0] == 200
    assert orchestrator.get("/static/conveyor/style.css")[0] == 200
    pids = family(orchestrator, environment)
    assert all(is_alive(pid) for pid in pids)
    assert orchestrator.end() == 0
    until(lambda: not any(is_alive(pid) for pid in pids), "nothing of it is left")
    *warned, said = orchestrator.said.splitlines()
    assert said == f"Conveyor is at {orchestrator.url}/"
    # A queue of one machine is worth a warning beside a server of databases, and only there.
    warnings = [line for line in warned if "(conveyor." in line]
    assert [line for line in warnings if "(conveyor.W002)" not in line] == []
    assert bool(warned) == bool(warnings) == ("CONVEYOR_DATABASE_URL" in environment)


def test_killed_it_leaves_nothing(start: Start, environment: dict[str, str]) -> None:
    orchestrator = start().ready()
    pids = family(orchestrator, environment)
    assert orchestrator.end(signal.SIGKILL) == -signal.SIGKILL
    until(lambda: not any(is_alive(pid) for pid in pids), "nothing of it is left")


def test_whatever_part_of_it_dies_comes_back(start: Start, environment: dict[str, str]) -> None:
    orchestrator = start().ready()
    pids = family(orchestrator, environment)[1:]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(is_alive(pid) for pid in pids), "they are dead")
    orchestrator.ready()
    until(lambda: len(_roles(orchestrator)) == 3, "all are there again")
    until(lambda: is_alive(queue_server(environment)), "the queue is there again")
    row = a_due_row()
    until(lambda: delivered(row), "a row is delivered")
    assert orchestrator.end() == 0


def test_two_of_them_look_after_one_site(start: Start, environment: dict[str, str]) -> None:
    first, second = start(), start()
    first.ready()
    second.ready()
    rows = [a_due_row() for _ in range(5)]
    until(lambda: delivered(*rows), "the rows are delivered")
    expired = timezone.now() - timedelta(hours=1)
    attempt = builders.an_attempt(lease_until=expired)
    first.end(signal.SIGKILL)
    until(lambda: Attempt.objects.get(pk=attempt.pk).finished_at, "the lost runner is noticed")
    until(lambda: second.get("/readyz")[0] == 200, "the other serves on")
    row = a_due_row()
    until(lambda: delivered(row), "the other delivers on")
    assert set(Duty.objects.values_list("error", flat=True)) == {""}
    assert second.end() == 0


def test_without_a_queue_it_does_everything_itself(start: Start) -> None:
    orchestrator = start(CONVEYOR_BROKER_URL=f"redis://127.0.0.1:{free_port()}/0").ready()
    assert "The queue cannot be reached" in orchestrator.said
    row = a_due_row()
    until(lambda: delivered(row), "the row is delivered")
    assert orchestrator.end() == 0
    assert "Traceback" not in orchestrator.said


def test_without_the_web_it_does_its_duties(start: Start, queue_server: QueueServer) -> None:
    orchestrator = start("--no-web", CONVEYOR_BROKER_URL=queue_server.url)
    row = a_due_row()
    until(lambda: delivered(row), "the row is delivered")
    assert "web" not in orchestrator.children()
    assert orchestrator.end() == 0
    assert orchestrator.said == ""


def test_orchestrator_hides_its_secrets(start: Start) -> None:
    orchestrator = start(CONVEYOR_SECRET_KEY="kestrel-9-canary-" * 3).ready()
    for pid in (orchestrator.process.pid, *orchestrator.children().values()):
        program = f"open('/proc/{pid}/environ', 'rb').read()"
        user = 64123 if os.geteuid() == 0 else None
        command = ["/usr/bin/env", "python3", "-c", program]
        done = subprocess.run(command, capture_output=True, check=False, user=user)
        assert b"kestrel" not in done.stdout
        assert done.returncode != 0
    # As Ctrl-C does.
    assert orchestrator.end(signal.SIGINT) == 0


def test_a_taken_port_is_a_sentence(start: Start, environment: dict[str, str]) -> None:
    port = start().url.rpartition(":")[2]
    done = manage("orchestrator", "--port", port, environment=environment)
    assert done.returncode == 1
    assert f"cannot listen on port {port} of 127.0.0.1: Address already in use" in done.stderr
    assert (
        "Stop the program that listens there, or choose another address with --host and --port"
        in done.stderr
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a\udcff", "192.0.2.1"])
def test_an_impossible_host_is_a_sentence(environment: dict[str, str], host: str) -> None:
    done = manage("orchestrator", "--port", "0", "--host", host, environment=environment)
    assert done.returncode == 1
    assert "cannot listen" in done.stderr
    assert "Choose another address with --host and --port." in done.stderr
    assert "Stop what listens" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("port", ["99999", "-1", "http", "9" * 5000])
def test_an_impossible_port_is_a_sentence(environment: dict[str, str], port: str) -> None:
    done = manage("orchestrator", "--port", port, environment=environment)
    assert done.returncode == 2
    assert f"'{port}' is not a port. Use 0 to 65535." in done.stderr


def test_a_database_that_is_down_is_a_sentence(environment: dict[str, str]) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    done = manage("orchestrator", environment={**environment, "CONVEYOR_DATABASE_URL": url})
    assert done.returncode == 1
    assert "The database cannot be used: connection failed" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_without_its_migrations_is_a_sentence(
    folder: Path, environment: dict[str, str]
) -> None:
    url = f"sqlite://{folder}/empty.sqlite3"
    done = manage("orchestrator", environment={**environment, "CONVEYOR_DATABASE_URL": url})
    assert done.returncode == 1
    assert "Run manage.py migrate." in done.stderr
    assert "Traceback" not in done.stderr


def test_unknown_task_leaves_no_result(start: Start, queue_server: QueueServer) -> None:
    orchestrator = start(CONVEYOR_BROKER_URL=queue_server.url).ready()
    anybody = Celery(broker=queue_server.url)
    anybody.conf.broker_transport_options = options_of_site(queue_server.url)
    anybody.send_task("no.such.task", queue=SYSTEM_QUEUE, ignore_result=False)
    anybody.close()
    until(lambda: "A message for an unknown task" in orchestrator.said, "the message is dropped")
    row = a_due_row()
    until(lambda: delivered(row), "a row is delivered after it")
    assert not TaskResult.objects.filter(task_name="no.such.task").exists()
    assert "Traceback" not in orchestrator.said
