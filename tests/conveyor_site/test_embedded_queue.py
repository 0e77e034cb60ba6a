from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu import Connection
from pytest_django.fixtures import Settings

from conveyor_site import embedded, embedded_server
from conveyor_site.embedded import EmbeddedQueueError, ensure_embedded_queue
from runners.settings_block import transport_options
from tests.own_database import REPOSITORY
from tests.waiting import until

pytestmark = pytest.mark.processes

#: A process that needs the queue, says where it is, and lives until its input ends.
USER = """
import sys
from conveyor_site.embedded import ensure_embedded_queue
print(ensure_embedded_queue(), flush=True)
sys.stdin.read()
"""


class User:
    """A process that uses the embedded queue of a data folder."""

    def __init__(self, data: Path) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "DJANGO_SETTINGS_MODULE": "conveyor_site.settings",
            "CONVEYOR_DATA_DIR": str(data),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER],
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def url(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def data(folder: Path, settings: Settings) -> Iterator[Path]:
    path = folder / "data"
    path.mkdir(mode=0o700)
    settings.CONVEYOR_DATA_DIR = path
    yield path
    embedded._end_own_servers()


def place(data: Path) -> embedded.Place:
    settled = embedded._remembered()
    assert settled is not None
    return settled


def is_there(data: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as caller:
        return caller.connect_ex(place(data).socket) == 0


def carries_messages(url: str) -> bool:
    with Connection(url, transport_options=transport_options(url)) as connection:
        queue = connection.SimpleQueue("test")
        queue.put({"number": 7})
        return bool(queue.get(timeout=5).payload == {"number": 7})


def test_all_processes_of_a_data_folder_use_one_queue(data: Path) -> None:
    url = ensure_embedded_queue()
    user = User(data)
    assert user.url() == url == ensure_embedded_queue()
    user.kill()
    assert is_there(data)
    assert carries_messages(url)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_dies_with_who_started_it_and_the_next_starts_another(
    data: Path, number: signal.Signals
) -> None:
    owner = User(data)
    url = owner.url()
    first = place(data).pid
    assert is_there(data)
    owner.process.send_signal(number)
    owner.process.communicate()
    until(lambda: not is_there(data), "the queue is gone with its owner")
    assert ensure_embedded_queue() == url
    assert place(data).pid != first
    assert carries_messages(url)


def test_whoever_finds_it_dead_starts_another_while_its_owner_lives(data: Path) -> None:
    owner = User(data)
    owner.url()
    os.kill(place(data).pid, signal.SIGKILL)
    until(lambda: not is_there(data), "the queue is dead")
    assert carries_messages(ensure_embedded_queue())
    owner.kill()
    assert is_there(data)


def test_of_many_that_begin_at_once_one_starts_it(data: Path) -> None:
    users = [User(data) for _ in range(4)]
    assert len({user.url() for user in users}) == 1
    servers = [
        entry
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit()
        and str(data) in _command_of(entry)
        and "unixsocket" in _command_of(entry)
    ]
    assert len(servers) == 1
    for user in users:
        user.kill()


def _command_of(entry: Path) -> str:
    try:
        return (entry / "cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def test_it_outlives_the_thread_that_started_it(data: Path) -> None:
    thread = threading.Thread(target=ensure_embedded_queue)
    thread.start()
    thread.join()
    assert carries_messages(ensure_embedded_queue())
    assert place(data).pid == embedded._own[0].pid


def test_other_users_of_the_machine_cannot_reach_it(data: Path) -> None:
    data.chmod(0o755)
    ensure_embedded_queue()
    path = Path(place(data).socket)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE((data / embedded.LOCK_NAME).stat().st_mode) == 0o600
    log = (data / embedded.FOLDER_NAME / embedded.LOG_NAME).read_text()
    assert "port=0" in log


def test_a_path_too_long_for_a_socket_is_replaced_by_a_short_private_one(
    folder: Path, settings: Settings
) -> None:
    deep = folder / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    settings.CONVEYOR_DATA_DIR = deep
    try:
        url = ensure_embedded_queue()
        short = Path(place(deep).socket)
        assert short.parent.parent == Path(tempfile.gettempdir())
        assert stat.S_IMODE(short.parent.stat().st_mode) == 0o700
        assert carries_messages(url)
        os.kill(place(deep).pid, signal.SIGKILL)
        until(lambda: not is_there(deep), "the queue is dead")
        assert ensure_embedded_queue() == url
    finally:
        embedded._end_own_servers()
        short.unlink(missing_ok=True)
        short.parent.rmdir()


def test_a_frozen_queue_is_said_to_be_silent_and_not_waited_for(data: Path) -> None:
    ensure_embedded_queue()
    os.kill(place(data).pid, signal.SIGSTOP)
    with pytest.raises(EmbeddedQueueError, match="does not answer"):
        ensure_embedded_queue()


def test_a_missing_server_is_a_sentence_with_the_way_out(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_server, "PACKAGE", "no_such_package")
    with pytest.raises(EmbeddedQueueError, match=r"requirements\.txt.*CONVEYOR_BROKER_URL"):
        ensure_embedded_queue()


def test_a_folder_that_cannot_hold_it_is_named(data: Path) -> None:
    (data / embedded.LOCK_NAME).mkdir()
    sentence = f"cannot be started: {data / embedded.LOCK_NAME} cannot be used: a folder is in its"
    with pytest.raises(EmbeddedQueueError, match=sentence):
        ensure_embedded_queue()


def test_a_server_that_cannot_start_tells_why(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_MEMORY", "much")
    with pytest.raises(EmbeddedQueueError, match="argument must be a memory value"):
        ensure_embedded_queue()
    monkeypatch.undo()
    assert carries_messages(ensure_embedded_queue())


def test_a_lock_file_with_nonsense_is_written_anew(data: Path) -> None:
    (data / embedded.LOCK_NAME).write_text("nonsense")
    assert carries_messages(ensure_embedded_queue())
