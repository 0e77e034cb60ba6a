"""A commit by its id alone may be a fork's: hosts hand those out as the repository's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from belts.importing import ImportOptions, import_sources
from belts.models import Belt
from products.models import Configuration
from runs.start import start_belt_run
from tests.products.repositories import Repository

pytestmark = [pytest.mark.django_db, pytest.mark.database]

FILE = """
product: gem
belts:
  - name: build
    jobs: [{name: compile, commands: make, credentials: deploy-key, queue: small}]
"""


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    Configuration.objects.update_or_create(id=1, defaults={"allow_local_sources": True})
    repository = Repository(tmp_path / "gem")
    repository.commit(FILE, path=".conveyor.yml")
    [outcome] = import_sources([repository.url], ImportOptions(source=repository.url))
    assert not outcome.failed
    return repository


def test_it_is_run_as_a_forks_by_the_file_of_the_default_branch(repository: Repository) -> None:
    hostile = FILE.replace("make", "steal").replace("small", "privileged")
    repository.git("checkout", "-q", "--detach")
    proposed = repository.commit(hostile, path=".conveyor.yml")
    repository.git("update-ref", "refs/pull/1/head", proposed)
    repository.git("checkout", "-q", "main")

    run = start_belt_run(Belt.objects.get(), ref=proposed, by="anna")

    assert (run.commit, run.tainted, run.on_default_branch) == (proposed, True, False)
    assert run.definition.document["belts"][0]["jobs"][0]["commands"] == "make"
    assert run.job_runs.get().queue == "small"
    assert run.cause == (
        "Started by anna. Its commit is in no branch or tag of the repository, so it may be a "
        "fork's."
    )


def test_a_commit_of_a_branch_is_the_repositorys_own(repository: Repository) -> None:
    repository.branch("topic")
    repository.git("checkout", "-q", "topic")
    older = repository.git("rev-parse", "HEAD")
    repository.commit("newer")
    repository.git("checkout", "-q", "main")
    run = start_belt_run(Belt.objects.get(), ref=older, by="anna")
    assert (run.commit, run.tainted, run.cause) == (older, False, "Started by anna.")
