"""What the log says of a request to a name that this site does not answer to."""

from __future__ import annotations

import logging

_LONGEST = 100


class UnknownHost(logging.Filter):
    """Tells in one line which name was asked for, and where the names of the site are set.

    Django's own line has a traceback, and names a setting that no site of Conveyor has.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite a record of ``django.security.DisallowedHost``; return that it is to be kept."""
        asked = getattr(record, "request", None)
        host = str(asked.META.get("HTTP_HOST", "")) if asked is not None else ""
        record.msg = (
            "Somebody asked for the host %a, and the site does not answer to that name. If it "
            "should, add the name to CONVEYOR_ALLOWED_HOSTS, or set CONVEYOR_PUBLIC_URL to the "
            "address that people use."
        )
        record.args = (host[:_LONGEST],)
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.exc_info = record.exc_text = None
        return True
