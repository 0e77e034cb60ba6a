"""The reference: Celery alone, with tasks that do the same work as the jobs.

``python -m celery --app bench.bare worker`` runs it. It does not use this platform. A task
that ends appends the time to a file, which costs less than any result backend.
"""

from __future__ import annotations

import os
import struct
import subprocess
import time

from celery import Celery

#: The variable with the URL of the queue server.
URL = "BENCH_QUEUE_URL"
FIRST_COMMAND = 'echo "$EPOCHREALTIME"'

_MOMENT = struct.Struct("d")

#: No fix-ups: nothing of Django belongs to the reference.
app = Celery("bare", broker=os.environ.get(URL), fixups=[], set_as_current=False)
app.conf.update(
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"global_keyprefix": "bare:"},
)


@app.task
def no_op(moments: str) -> None:
    """Run ``true``."""
    subprocess.run(["true"], check=True)
    _note(moments, time.time())


@app.task
def first_command(moments: str) -> None:
    """Run a command that tells when it ran."""
    command = ["bash", "-c", FIRST_COMMAND]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    _note(moments, float(done.stdout))


def _note(moments: str, moment: float) -> None:
    descriptor = os.open(moments, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, _MOMENT.pack(moment))
    finally:
        os.close(descriptor)


def read_moments(moments: str) -> list[float]:
    """Return the times at which tasks were done, in seconds since 1970."""
    try:
        with open(moments, "rb") as file:  # noqa: PTH123 - the name travels in a message
            return [moment for (moment,) in _MOMENT.iter_unpack(file.read())]
    except FileNotFoundError:
        return []
