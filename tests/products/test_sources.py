from __future__ import annotations

import pytest

from products.catalogue import archive_product, restore_product
from products.errors import ConveyorError
from products.git.errors import SourceUrlError
from products.models import OutboxRow, Product, Source
from products.polling import poll_due_sources
from products.sources import SourcePathError, set_source
from tests.builders import a_credential, a_product
from tests.products.repositories import Repository

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.database,
    pytest.mark.usefixtures("local_sources"),
]


def test_source_is_stored_as_written_and_due_at_once(repository: Repository) -> None:
    repository.commit()
    product = a_product()
    url = "git://git.example/acme/thing.git"
    source = set_source(product, url, "ci/belts.yml")
    assert (source.url, source.path, source.product) == (url, "ci/belts.yml", product)
    assert source in Source.objects.due()
    again = set_source(product, repository.url)
    assert (again.pk, again.path) == (source.pk, "ci/belts.yml")
    assert poll_due_sources() == 0
    again.refresh_from_db()
    assert again.head_commit


def test_the_same_repository_in_another_form_keeps_what_was_seen(source: Source) -> None:
    again = set_source(source.product, f"file://{source.url}/.git")
    assert again.first_seen_at is not None
    assert again.seen_refs.count() == 1
    assert again in Source.objects.due()


def test_another_host_is_not_given_the_credential(source: Source) -> None:
    product = source.product
    credential = a_credential(product, kind="git")
    set_source(product, "https://git.example/a")
    Source.objects.update(credential=credential)
    assert set_source(product, "https://git.example/b").credential == credential
    assert set_source(product, "https://git.example.evil/b").credential is None


@pytest.mark.parametrize(
    ("url", "path", "error"),
    [
        ("ext::sh -c id", None, SourceUrlError),
        ("https://git.example/x", "/etc/passwd", SourcePathError),
        ("https://git.example/x", "../x", SourcePathError),
        ("https://git.example/x", "a//b", SourcePathError),
        ("https://git.example/x", "", SourcePathError),
        ("https://git.example/x", ".git/config", SourcePathError),
        ("https://git.example/x", "a\nb", SourcePathError),
    ],
)
def test_a_malformed_source_changes_nothing(
    url: str, path: str | None, error: type[ConveyorError]
) -> None:
    with pytest.raises(error):
        set_source(a_product(), url, path)
    assert not Source.objects.exists()


def test_a_restored_product_starts_from_what_is_there_and_imports_it(
    source: Source, repository: Repository
) -> None:
    product = source.product
    Product.objects.update(managed_by=Product.Manager.FILE)
    assert archive_product(product)
    assert not archive_product(product)
    assert product.archived_at is not None
    commit = repository.commit("meanwhile")
    assert restore_product(product)
    assert not restore_product(product)
    assert poll_due_sources() == 0
    row = OutboxRow.objects.get()
    assert (row.kind, row.payload) == ("import", {"product": str(product.pk), "commit": commit})
