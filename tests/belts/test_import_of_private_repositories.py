"""Importing a private repository by its URL: an operator names the credential."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from belts.importing import ImportOptions, ImportOutcome, import_sources
from products.credentials import set_value
from products.models import Configuration, Credential, Product, Source
from products.polling import poll_source
from tests.builders import a_credential
from tests.products.repositories import PASSWORD, GitServer, Repository, a_git_server

pytestmark = [pytest.mark.django_db, pytest.mark.database]

FILE = "product: gem\nbelts:\n  - name: first\n    jobs: [{name: make, commands: make}]\n"


@pytest.fixture
def repository(tmp_path: Path, settings: Settings) -> Repository:
    settings.CONVEYOR_DATA_DIR = tmp_path / "data"
    Configuration.objects.create(allow_local_sources=True, allow_http_sources=True)
    repository = Repository(tmp_path / "git" / "gem")
    repository.commit(FILE, path=".conveyor.yml")
    return repository


@pytest.fixture
def server(repository: Repository) -> Iterator[GitServer]:
    with a_git_server(repository.folder.parent, login=f"ada:{PASSWORD}") as served:
        yield served


@pytest.fixture
def login() -> Credential:
    credential = a_credential(name="login", kind="git", username="ada")
    set_value(credential, PASSWORD)
    return credential


def imported(label: str, **options: str) -> ImportOutcome:
    [outcome] = import_sources([label], ImportOptions(**options))  # type: ignore[arg-type]  # texts alone
    return outcome


def test_refused_import_names_the_option(server: GitServer) -> None:
    outcome = imported(server.url("gem/.git"))
    assert "import_conveyor_yml --credential NAME" in str(outcome.error)


def test_import_with_a_credential_keeps_it(
    server: GitServer, repository: Repository, login: Credential
) -> None:
    outcome = imported(server.url("gem/.git"), credential="login")
    assert (outcome.error, outcome.failed) == (None, False)
    source = Source.objects.get()
    assert source.credential == login
    assert list(login.products.all()) == [source.product]
    repository.commit("more")
    assert poll_source(source.pk) == 1
    again = imported(server.url("gem/.git"), credential="login")
    assert again.changes is not None
    assert not again.changes


def test_unknown_credential_is_refused(server: GitServer) -> None:
    outcome = imported(server.url("gem/.git"), credential="logn")
    assert "There is no credential 'logn'. Make it in the admin" in str(outcome.error)
    assert not Product.objects.exists()


def test_credential_goes_to_no_host_that_the_file_chooses(
    server: GitServer, repository: Repository, login: Credential
) -> None:
    repository.commit(f"source: https://other.example/gem.git\n{FILE}", path=".conveyor.yml")
    outcome = imported(server.url("gem/.git"), credential="login")
    assert "is not sent there" in str(outcome.error)
    assert not Source.objects.exists()
    assert not login.products.exists()


def test_credential_of_a_file_needs_a_url(repository: Repository, login: Credential) -> None:
    label = str(repository.folder)
    refused = imported(label, credential="login")
    assert "Import the URL, or name it with --source URL." in str(refused.error)
    url = "https://git.example/gem.git"
    assert imported(label, credential="login", source=url).error is None
    assert Source.objects.get().credential == login


def test_credential_of_another_kind_is_refused(server: GitServer) -> None:
    a_credential(name="key", kind="ssh-key")
    outcome = imported(str(server.url("gem/.git")), credential="key")
    assert outcome.failed
    assert not Source.objects.exists()
