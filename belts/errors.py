"""What can go wrong with definitions and imports, as sentences."""

from __future__ import annotations

from collections.abc import Sequence

from belts.spec.problems import Problem
from products.errors import UserError


class NoDefinitionError(UserError):
    """A product has no definition yet, so nothing of it can run."""

    code = "definition.none"
    http_status = 409

    def __init__(self, product: str) -> None:
        super().__init__(
            f"The product {product} has no definition yet: import its .conveyor.yml, or give it"
            " a belt with a job in the admin."
        )


class BrokenFileError(UserError):
    """A belt file, or what the admin holds, cannot be used; ``problems`` says why."""

    code = "definition.broken"
    http_status = 409

    def __init__(self, what: str, problems: Sequence[Problem]) -> None:
        errors = [problem for problem in problems if problem.is_error]
        first = f": {errors[0].message}" if errors else "."
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        self.headline = f"{what} cannot be used"
        super().__init__(f"{self.headline}{first}{more}")
        self.problems = tuple(problems)


class UnknownDefinitionError(UserError):
    """A stored definition has something that this version of Conveyor does not know."""

    code = "definition.unknown"
    http_status = 409

    def __init__(self, definition: str, what: str) -> None:
        super().__init__(
            f"The definition {definition} has {what}, which this version of Conveyor does not know."
            " A newer version stored it. Use that version for it, or import the product's file "
            "again with this one."
        )


class AdminManagedError(UserError):
    """A file describes a product whose definition belongs to the admin."""

    code = "product.admin-managed"
    http_status = 409

    def __init__(self, product: str) -> None:
        super().__init__(
            f"The product {product} is managed by the admin, and an import would replace its"
            " belts, jobs and triggers. Import with --take-over if its file is to manage it."
        )


class FileManagedError(UserError):
    """A person tried to change rows that a file manages."""

    code = "product.file-managed"
    http_status = 409

    def __init__(self, product: str) -> None:
        super().__init__(
            f"The product {product} is managed by its file: edit the file, or detach it first."
        )


class ImportSourceError(UserError):
    """What was to be imported is nothing that can be."""

    code = "import.source"


class RepeatedProductError(UserError):
    """Two of the sources of one import describe the same product."""

    code = "import.repeated"

    def __init__(self, product: str, first: str) -> None:
        super().__init__(
            f"The product {product} is described by {first} already; import one of them."
        )
