"""What a product's belt file was at a commit: storing it, with its problems."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db.models import Exists, OuterRef, QuerySet

from belts.models import CommitFile, Definition
from belts.spec.names import quoted
from belts.spec.places import located
from belts.spec.problems import Problem, in_order, to_json
from belts.spec.shapes import BeltFile
from products.models import Product


def store_commit_file(
    product: Product,
    commit: str,
    *,
    data: bytes,
    problems: Sequence[Problem],
    definition: Definition | None,
    path: str = ".conveyor.yml",
    on_default_branch: bool = False,
    keep: bool = False,
) -> CommitFile:
    """Store what the file was at ``commit`` (empty for a bare file) and return the row.

    ``path`` is where it was read in the repository. The row that is there is replaced, so that the
    newest reading is the newest row; with ``keep`` one of the same path stays and is returned.
    """
    rows = CommitFile.objects.filter(product=product, commit=commit)
    if keep:
        rows = rows.exclude(path=path)
    rows.delete()
    row, _ = CommitFile.objects.get_or_create(
        product=product,
        commit=commit,
        defaults={
            "definition": definition,
            "path": path,
            "text": data.decode("utf-8", errors="replace").replace("\0", "\ufffd"),
            "problems": to_json(in_order(problems), data),
            "on_default_branch": on_default_branch,
        },
    )
    return row


def last_file(product: Product) -> CommitFile | None:
    """Return the file that was read last on the default branch, or else anywhere; without text."""
    files = CommitFile.objects.filter(product=product).defer("text").order_by("-id")
    return files.filter(on_default_branch=True).first() or files.first()


def broken_files(products: Iterable[Product] | QuerySet[Product]) -> QuerySet[CommitFile]:
    """Return the files that are broken at the head of the default branch, without text.

    Only of products that are managed by their file; at most one for each.
    """
    newer = CommitFile.objects.filter(
        product=OuterRef("product"), on_default_branch=True, id__gt=OuterRef("id")
    )
    broken = CommitFile.objects.filter(
        definition=None,
        on_default_branch=True,
        product__in=products,
        product__managed_by=Product.Manager.FILE,
    )
    return broken.exclude(Exists(newer)).defer("text").order_by("product__name")


def broken_at(product: Product, commits: Iterable[str]) -> dict[str, CommitFile]:
    """Return the files that are broken at these commits, by commit, without text."""
    files = CommitFile.objects.filter(product=product, commit__in=set(commits) - {""})
    return {file.commit: file for file in files.filter(definition=None).defer("text")}


def own_problems(product: Product, file: BeltFile | None) -> list[Problem]:
    """Return the error that a file of the product's repository is another product's, if so.

    A push cannot turn a repository into another product, which may belong to other people.
    """
    if file is None or file.product in ("", product.name):
        return []
    problem = Problem(
        "product.other-name",
        "error",
        f"The file describes the product {quoted(file.product)}, and here it is read for"
        f" {quoted(product.name)}.",
        "To rename the product, import the file as a new product and archive the old one.",
    )
    return [located(problem, file, "product")]
