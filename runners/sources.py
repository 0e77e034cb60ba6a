"""Fetching a run's commit into a mirror on this machine, from which its jobs check it out.

The runner's own user fetches, with the source's credential; jobs read the mirror and see neither
the credential nor the URL.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from products.credentials import OpenedCredential, open_for_source
from products.git.allowance import Allowance
from products.git.mirror import ensure_commit
from products.git.site import allowed_for_history
from products.git.urls import check_url
from products.models import Source
from runners.errors import SetupError
from runners.executor.shapes import Checkout
from runners.process.aside import AsideError, run_aside
from runners.process.plan import RunnerPlan
from runners.process.slot_line import SlotLine
from runners.process.users import MIRROR_GROUP
from runs.models import BeltRun

_MIRRORS = ".mirrors"
_TAGS = "refs/tags/"


class Place(Protocol):
    """What is needed of a slot to fetch for it."""

    plan: RunnerPlan
    line: SlotLine


def checkout_for(belt_run: BeltRun, place: Place) -> Checkout:
    """Return the checkout of a belt run's commit, fetched unless it is there already.

    Raises SetupError where there is no source or it cannot be fetched, SourceUrlError where the
    site does not allow it, CredentialMissingError, and InterruptedAsideError when the attempt was
    ordered to end meanwhile.
    """
    product = belt_run.belt.product
    source = Source.objects.select_related("credential").filter(product=product).first()
    if source is None or not belt_run.commit:
        raise SetupError(
            f"The product {product.name} has no source, and this job has the input source. Give "
            "it one with the key source in its file, or in the admin.",
            reason="no-source",
        )
    check_url(source.url)
    credential = open_for_source(source)
    mirrors = place.plan.work_dir / _MIRRORS
    allowance = allowed_for_history()

    def fetch() -> str:
        return _fetch(mirrors, source, belt_run, credential, allowance)

    try:
        mirror = run_aside(place.line, fetch)
    except AsideError as error:
        raise SetupError(
            f"The source of the product {product.name} could not be fetched: {error}"
        ) from error
    return Checkout(mirror, belt_run.commit, group=_group(), tag=tag_of(belt_run))


def tag_of(belt_run: BeltRun) -> str:
    """Return the name of the tag that a belt run is of, "" for other runs."""
    return belt_run.ref.removeprefix(_TAGS) if belt_run.ref.startswith(_TAGS) else ""


def _fetch(
    mirrors: Path,
    source: Source,
    belt_run: BeltRun,
    credential: OpenedCredential | None,
    allowance: Allowance,
) -> str:
    mirrors.mkdir(mode=0o711, exist_ok=True)
    mirror = ensure_commit(
        mirrors,
        source.url,
        belt_run.commit,
        credential=credential,
        allowance=allowance,
        tag=tag_of(belt_run),
    )
    group = _group()
    if group is not None:
        os.chown(mirror, -1, group)
        mirror.chmod(0o750)
    return str(mirror)


def _group() -> int | None:
    """Return the group that checkouts are given to read mirrors, None for a runner without root."""
    return MIRROR_GROUP if os.geteuid() == 0 else None
