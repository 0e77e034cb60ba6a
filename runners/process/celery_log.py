"""What Celery says in the log of a process that runs a worker of it."""

from __future__ import annotations

import logging


def quiet_celery() -> None:
    """Keep from the log that messages come, and where in Celery's code a lost queue was noticed.

    That it was lost is still said, in a line. To be called once in a process of its own.
    """
    logging.getLogger("celery").setLevel(logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_without_traceback)


def _without_traceback(record: logging.LogRecord) -> bool:
    """Shorten what Celery's own modules say; errors in tasks are ours and stay whole."""
    if record.name.startswith(("celery.worker", "kombu")):
        record.exc_info = record.exc_text = None
        record.msg, record.args = record.getMessage().strip().partition("\n")[0], None
    return True
