"""What this site says about reading repositories: where its mirrors lie and what they may take."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from products.configuration import current
from products.git.allowance import Allowance

_MORE_TIME = (
    "If it needs longer, an administrator can allow that: admin, Configuration, Read timeout."
)


def mirrors_folder() -> Path:
    """Return the folder of the orchestrator's own mirrors."""
    return Path(settings.CONVEYOR_DATA_DIR) / "mirrors"


def allowed_for_file() -> Allowance:
    """Return what reading one file may take, beginning now."""
    site = current()
    return Allowance(site.read_timeout_s, site.repository_limit_bytes, way_out=_MORE_TIME)


def allowed_for_history() -> Allowance:
    """Return what reading a whole history may take, beginning now."""
    return Allowance(room_bytes=current().repository_limit_bytes)
