"""Starting a belt on request of a user, with a ref and parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from belts.definitions import current_definition, definition_at
from belts.models import Belt, Definition
from belts.spec.names import is_reserved_variable
from products.git.remote import ResolvedRef, resolve_ref
from products.models import Product, Source
from products.storable import storing_problem
from runs.creation import NewRun, create_belt_run
from runs.errors import BeltArchivedError, NoSourceToRefError, ParameterError
from runs.models import BeltRun

MAX_PARAMETERS = 64
MAX_VALUE_BYTES = 32 * 1024
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}", re.ASCII)
_FOREIGN = " Its commit is in no branch or tag of the repository, so it may be a fork's."
_NOWHERE = ResolvedRef(commit="", ref="", branch="", on_default_branch=True)


def start_belt_run(
    belt: Belt,
    *,
    user: Any = None,
    ref: str = "",
    parameters: Mapping[str, str] | None = None,
    continue_downstream: bool = True,
    by: str = "",
) -> BeltRun:
    """Start a belt on ``ref`` (empty: the head of its source's default branch); return the run.

    A commit that no branch and no tag of the source holds is run as a fork's.

    ``by`` says who asked where there is no user. ``parameters`` become variables of every job.

    Raises BeltArchivedError, BeltGoneError, ParameterError, NoSourceToRefError, BeltMissingError,
    UnresolvedError, the errors of a source that cannot be read or lacks the ref, and those of a
    definition that is broken or not there.
    """
    product = belt.product
    if belt.archived_at is not None or product.archived_at is not None:
        raise BeltArchivedError(belt)
    given = checked_parameters(parameters or {})
    if problem := storing_problem(ref):
        raise ParameterError(f"The ref {ref!r} cannot be there. {problem}")
    source = Source.objects.select_related("credential", "product").filter(product=product).first()
    place = place_of(product, source, ref)
    name = by or (user.get_username() if user is not None else "") or "somebody"
    return create_belt_run(
        NewRun(
            belt=belt,
            definition=_definition(product, place),
            cause=f"Started by {name}.{_FOREIGN if place.foreign else ''}",
            by=name,
            commit=place.commit,
            ref=place.ref,
            branch=place.branch,
            source_url=source.url if source else "",
            on_default_branch=place.on_default_branch,
            tainted=place.foreign,
            user=user,
            parameters=given,
            continue_downstream=continue_downstream,
            refuse_unresolved=True,
        )
    )


def place_of(product: Product, source: Source | None, ref: str = "") -> ResolvedRef:
    """Return the commit at which a run of the product is made; all empty without a source.

    Raises NoSourceToRefError and the errors of ``products.git.remote.resolve_ref``.
    """
    if source is not None:
        return resolve_ref(source, ref)
    if ref:
        raise NoSourceToRefError(product.name, ref)
    return _NOWHERE


def _definition(product: Product, place: ResolvedRef) -> Definition:
    """Return the definition at a commit; what may be a fork's does not say itself what is run."""
    return current_definition(product) if place.foreign else definition_at(product, place.commit)


def checked_parameters(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters; raises ParameterError for what no variable of a job can have."""
    if len(parameters) > MAX_PARAMETERS:
        raise ParameterError(f"Give at most {MAX_PARAMETERS} parameters, not {len(parameters)}.")
    for name, value in parameters.items():
        if problem := storing_problem(name):
            raise ParameterError(f"{name!r} cannot name a parameter. {problem}")
        if not _NAME.fullmatch(name):
            raise ParameterError(
                f"{name!r} cannot name a parameter. Use letters, digits and _, as in GEM_VERSION."
            )
        if is_reserved_variable(name):
            raise ParameterError(f"The variable {name} is reserved, so no parameter can have it.")
        if problem := storing_problem(value):
            raise ParameterError(f"The value of {name} cannot be kept. {problem}")
        if len(value.encode()) > MAX_VALUE_BYTES:
            raise ParameterError(f"The value of {name} is longer than {MAX_VALUE_BYTES} bytes.")
    return dict(parameters)
