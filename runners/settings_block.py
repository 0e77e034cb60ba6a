"""The settings of Celery as Conveyor uses it, and where a runner keeps its folders.

Why each is as it is: docs/decisions/0002-runner-processes.md.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from kombu import Queue

#: The queue of housekeeping tasks, consumed by orchestrators.
SYSTEM_QUEUE = "conveyor.system"

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

CELERY_SETTINGS: dict[str, Any] = {
    # A message is a hint: acknowledged before it is acted on, never redelivered to act twice.
    "task_acks_late": False,
    "task_reject_on_worker_lost": False,
    "task_ignore_result": True,
    "task_store_errors_even_if_ignored": False,
    # The outbox tries again; a publisher does not.
    "task_publish_retry": False,
    "worker_prefetch_multiplier": 1,
    "worker_disable_prefetch": True,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_soft_shutdown_timeout": 0,
    "worker_enable_remote_control": False,
    "worker_send_task_events": False,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "worker_max_tasks_per_child": 200,
    # A worker waits for its broker for ever.
    "broker_connection_retry": True,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_connection_timeout": 2,
    "broker_pool_acquire_timeout": 5,
    "accept_content": ["json"],
    "task_serializer": "json",
    "result_serializer": "json",
    # Only queues that fleets name exist; a forged or mistyped name makes none.
    "task_create_missing_queues": False,
    "task_default_queue": SYSTEM_QUEUE,
    "enable_utc": True,
    "timezone": "UTC",
}

#: The option that all keys of a site begin with; see ``runners.site_mark``.
KEY_PREFIX = "global_keyprefix"
_REDIS_OPTIONS: dict[str, Any] = {
    "visibility_timeout": 60,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 10,
    KEY_PREFIX: "conveyor:",
}


def transport_options(broker_url: str) -> dict[str, Any]:
    """Return the options of the transport that the URL names; other transports have no such ones.

    The names are kombu's, see https://docs.celeryq.dev/projects/kombu/en/stable/reference/
    kombu.transport.redis.html; an AMQP connection refuses names that it does not know.
    """
    scheme = urlsplit(broker_url).scheme.partition("+")[0]
    if scheme in ("redis", "rediss", "valkey"):
        return dict(_REDIS_OPTIONS)
    if scheme == "sqs":
        return {"visibility_timeout": 60, "wait_time_seconds": 10}
    return {}


def queue_of(name: str) -> Queue:
    """Return the queue of that name, as publishers and workers declare it."""
    return Queue(name, routing_key=name)


def job_path() -> str:
    """Return the PATH of jobs whose fleet sets none: the system's folders, or a user's own.

    Without the folders that the user may not look into.
    """
    if os.geteuid() == 0:
        return SYSTEM_PATH
    closed = closed_to_jobs()
    folders = [each for each in os.environ.get("PATH", "").split(":") if each not in closed]
    return ":".join(folders) or SYSTEM_PATH


def closed_to_jobs() -> list[str]:
    """Return the folders that are left out of the PATH of jobs, as of a PATH that root left."""
    if os.geteuid() == 0:
        return []
    return [each for each in os.environ.get("PATH", "").split(":") if _is_closed(each)]


def _is_closed(folder: str) -> bool:
    try:
        is_folder = stat.S_ISDIR(os.stat(folder).st_mode)  # noqa: PTH116 - an entry, no Path yet
    except PermissionError:
        return True
    except OSError:
        return False
    return is_folder and not os.access(folder, os.X_OK)


def work_dir() -> Path:
    """Return the folder below which job folders lie: ``CONVEYOR_WORK_DIR`` or a fitting place.

    Jobs of a root runner run as other users, who cannot enter a private home; so its folder lies
    in the system's.
    """
    if settings.CONVEYOR_WORK_DIR:
        return Path(settings.CONVEYOR_WORK_DIR).resolve()
    if os.geteuid() == 0:
        return Path("/var/lib/conveyor/work")
    return Path(settings.CONVEYOR_DATA_DIR) / "work"
