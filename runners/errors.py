"""What can go wrong with runners and the queue, as sentences."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from products.errors import PlatformError, UserError


class RunnerNameTakenError(UserError):
    """Another runner of that name is alive, or might be."""

    code = "runner.name-taken"

    def __init__(self, *, name: str, host: str, boot_id: UUID, heard_at: datetime) -> None:
        super().__init__(
            f"A runner named {name} runs on {host}; it was last heard of at "
            f"{heard_at:%H:%M:%S} UTC. Stop it, or give this one another name with --name."
        )
        self.boot_id = boot_id
        self.heard_at = heard_at


class NoQueueError(PlatformError):
    """No broker is configured and none can be started here."""

    code = "queue.none"

    def __init__(self) -> None:
        super().__init__("There is no queue: set CONVEYOR_BROKER_URL, as in redis://host:6379/0.")


class SetupError(PlatformError):
    """A job could not be prepared; the sentence is for its log."""

    code = "job.setup"

    def __init__(self, sentence: str, *, reason: str = "setup") -> None:
        super().__init__(sentence)
        self.reason = reason


class NoPlaceError(UserError):
    """This machine lacks what the runner needs to run jobs as it was asked to."""

    code = "runner.no-place"
