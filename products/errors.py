"""Base classes of all errors of Conveyor: each has a code and a sentence for people."""

from __future__ import annotations

from typing import ClassVar


class ConveyorError(Exception):
    """Something that Conveyor has a sentence for; the sentence is ``str(error)``.

    ``code`` is stable and documented; ``http_status`` is what the API answers with.
    """

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500


class UserError(ConveyorError):
    """What was asked for cannot be done as it was asked; asking otherwise helps."""

    code = "request.invalid"
    http_status = 400


class PlatformError(ConveyorError):
    """The platform, or something that it needs, could not do what was rightly asked."""

    code = "platform.failed"
    http_status = 503
