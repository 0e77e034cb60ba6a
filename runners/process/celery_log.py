"""What Celery says in the log of a process that runs a worker of it."""

from __future__ import annotations

import logging

from kombu.exceptions import OperationalError

_LOST = "consumer: Connection to broker lost"
_CANNOT_CONNECT = "consumer: Cannot connect to"
_GAVE_UP = "Unrecoverable error"

_HANDED_OVER = (
    "The embedded queue has ended with the process that had started it; another one is started. "
    "Jobs are found without it meanwhile."
)
_AWAY = "The queue cannot be reached (%s); it is tried again."


def quiet_celery(*, embedded: bool) -> None:
    """Keep from the log that messages come, and where in Celery's code a lost queue was noticed.

    That it was lost is still said, in a line. To be called once in a process of its own;
    ``embedded`` says that the queue is the one that any process of the site may start.
    """
    logging.getLogger("celery").setLevel(logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.addFilter(PlainWords(embedded=embedded))


class PlainWords(logging.Filter):
    """Shortens what Celery's own modules say; mistakes of ours stay whole.

    A queue that is away is no fault of the process, which looks for it again: no line of that is
    critical, and the end of an embedded one is told once, by what became of it.
    """

    def __init__(self, *, embedded: bool) -> None:
        super().__init__()
        self._embedded = embedded

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; return whether it is to be said at all."""
        if not record.name.startswith(("celery.worker", "kombu")):
            return True
        said = record.getMessage().strip().partition("\n")[0]
        gave_up = said.startswith(_GAVE_UP) and _is_of_the_queue(record)
        if self._embedded and (gave_up or said.startswith(_CANNOT_CONNECT)):
            return False
        if self._embedded and said.startswith(_LOST):
            _restate(record, logging.INFO, _HANDED_OVER)
        elif gave_up:
            _restate(record, logging.WARNING, _AWAY % _reason(record))
        elif not said.startswith(_GAVE_UP):
            _restate(record, record.levelno, said)
        return True


def _is_of_the_queue(record: logging.LogRecord) -> bool:
    return record.exc_info is not None and isinstance(record.exc_info[1], OperationalError)


def _reason(record: logging.LogRecord) -> str:
    error = record.exc_info[1] if record.exc_info else ""
    return str(error).strip().partition("\n")[0].rstrip(".")


def _restate(record: logging.LogRecord, level: int, sentence: str) -> None:
    record.levelno, record.levelname = level, logging.getLevelName(level)
    record.msg, record.args = sentence, None
    record.exc_info = record.exc_text = None
