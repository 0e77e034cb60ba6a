"""The log line for a request to a host name that this site does not have."""

from __future__ import annotations

import logging

_LONGEST = 100


class UnknownHost(logging.Filter):
    """Logs one line with the host name and the settings for it.

    Django's own line has a traceback, and names a setting that sites of Conveyor do not have.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite a record of ``django.security.DisallowedHost``; return True."""
        request = getattr(record, "request", None)
        host = str(request.META.get("HTTP_HOST", "")) if request is not None else ""
        record.msg = (
            "A request for the host %a was refused: the site does not have this name. If it "
            "should, add the name to CONVEYOR_ALLOWED_HOSTS, or set CONVEYOR_PUBLIC_URL to the "
            "address that people use."
        )
        record.args = (host[:_LONGEST],)
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.exc_info = record.exc_text = None
        return True
