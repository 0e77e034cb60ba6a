"""The chain of causes of a belt run, from the run up to its origin."""

from __future__ import annotations

from collections.abc import Iterator

from runs.models import BeltRun

#: Longer chains are stopped long before (``Configuration.max_chain_depth``).
_LONGEST = 200


def causes_of(run: BeltRun | None) -> list[BeltRun]:
    """Return ``run`` and the belt runs that led to it, nearest first, with belt and product.

    A repeat was caused by what caused the run that it repeats.
    """
    return list(_upwards(run))


def _upwards(run: BeltRun | None) -> Iterator[BeltRun]:
    for _ in range(_LONGEST):
        if run is None:
            return
        yield run
        run = _cause(run)


def _cause(run: BeltRun) -> BeltRun | None:
    repeated: BeltRun | None = run
    for _ in range(_LONGEST):
        if repeated is None:
            return None
        if repeated.upstream_id is not None:
            return _read(repeated.upstream_id)
        repeated = _read(repeated.rerun_of_id)
    return None


def _read(run_id: object) -> BeltRun | None:
    if run_id is None:
        return None
    runs = BeltRun.objects.select_related("belt__product", "definition")
    return runs.filter(id=run_id).first()
