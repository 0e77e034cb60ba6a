"""Whether the credentials that jobs name are there for their product."""

from __future__ import annotations

from belts.spec.names import did_you_mean, quoted
from belts.spec.places import located, places_of
from belts.spec.problems import Problem
from belts.spec.shapes import BeltFile
from products.models import Credential

UNKNOWN_CREDENTIAL = "job.unknown-credential"


def unknown_credentials(file: BeltFile) -> list[Problem]:
    """Return a warning for each credential that a job names and its product may not use.

    An import shows them, and no file stores them: credentials change without an import. Each run
    reads them again, and a job without its credential ends errored.
    """
    bound = Credential.objects.filter(products__name=file.product)
    known = set(bound.values_list("name", flat=True))
    wanting = [
        (place, name)
        for place in places_of(file)
        for name in place.job.credentials
        if name not in known
    ]
    if not wanting:
        return []
    elsewhere = set(
        Credential.objects.filter(name__in={name for _, name in wanting}).values_list(
            "name", flat=True
        )
    )
    return [
        located(
            _unknown(name, file.product, known, is_elsewhere=name in elsewhere),
            file,
            f"{place.path}.credentials.{name}",
        )
        for place, name in wanting
    ]


def _unknown(name: str, product: str, known: set[str], *, is_elsewhere: bool) -> Problem:
    message = f"There is no credential {quoted(name)} for {product}; the job will end errored."
    hint = "Make it in the admin under Credentials."
    if is_elsewhere:
        message = f"{product} may not use the credential {quoted(name)}; the job will end errored."
        hint = f"Add {product} to its products in the admin under Credentials."
    elif known:
        near = did_you_mean(name, known, what=f"credentials of {product}")
        hint = f"{near} Or make it in the admin under Credentials."
    return Problem(UNKNOWN_CREDENTIAL, "warning", message, hint)
