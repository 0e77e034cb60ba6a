"""New commits of a product's repository: imported by themselves, without harm when broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from belts.definitions import current_definition, definition_at, spec_of
from belts.errors import BrokenFileError
from belts.importing import ImportOptions, import_commit, import_sources
from belts.models import Belt, CommitFile, Job
from belts.ownership import detach
from products.git.errors import FileMissingError
from products.models import Configuration, Product, Source
from tests.belts.git_repositories import Repository

pytestmark = [pytest.mark.django_db, pytest.mark.database]

FILE = """\
product: thing
belts:
  - name: build
    jobs:
      - {name: compile, commands: make}
"""


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository whose file was imported from its URL."""
    Configuration.objects.create(allow_local_sources=True)
    repository = Repository(tmp_path)
    repository.commit(FILE)
    assert not import_sources([str(repository.bare)], ImportOptions())[0].failed
    return repository


def product() -> Product:
    return Product.objects.get(name="thing")


def pushed(repository: Repository, text: str | None) -> str:
    """Push to the default branch as polling would see it; return the commit."""
    commit = repository.commit(text)
    Source.objects.update(head_commit=commit)
    return commit


def test_a_new_head_becomes_the_present_definition(repository: Repository) -> None:
    commit = pushed(repository, FILE.replace("make", "ninja"))
    row = import_commit(product().pk, commit)

    assert row is not None
    assert row.on_default_branch
    assert row.definition == current_definition(product())
    assert Job.objects.get().commands == "ninja"
    assert definition_at(product(), commit) == row.definition


def test_known_commit_is_read_again_at_another_path(repository: Repository) -> None:
    """What was read at the first path is no answer for the second one."""
    other = FILE.replace("compile", "pack").replace("make", "ninja")
    (repository.work / "ci.yml").write_text(other)
    commit = pushed(repository, FILE.replace("make", "cmake"))
    assert spec_of(definition_at(product(), commit)).belts[0].jobs[0].name == "compile"
    Source.objects.update(path="ci.yml")
    assert spec_of(definition_at(product(), commit)).belts[0].jobs[0].name == "pack"
    Source.objects.update(path=".conveyor.yml")
    assert spec_of(definition_at(product(), commit)).belts[0].jobs[0].name == "compile"


def test_corrected_path_makes_a_known_commit_usable(repository: Repository) -> None:
    (repository.work / "ci.yml").write_text(FILE)
    commit = pushed(repository, FILE.replace("make", "cmake"))
    Source.objects.update(path="misspelt.yml")
    assert import_commit(product().pk, commit) is not None
    with pytest.raises(BrokenFileError):
        definition_at(product(), commit)
    Source.objects.update(path="ci.yml")
    assert spec_of(definition_at(product(), commit)).belts[0].jobs[0].name == "compile"


def test_import_of_a_url_keeps_the_path_of_its_source(repository: Repository) -> None:
    (repository.work / "ci.yml").write_text(FILE.replace("make", "ninja"))
    pushed(repository, FILE)
    Source.objects.update(path="ci.yml")
    assert not import_sources([str(repository.bare)], ImportOptions())[0].failed
    assert CommitFile.objects.latest("id").path == "ci.yml"


def test_a_broken_file_keeps_the_last_good_definition(repository: Repository) -> None:
    good = current_definition(product())
    commit = pushed(repository, FILE.replace("jobs:", "job:"))
    row = import_commit(product().pk, commit)

    assert row is not None
    assert (row.definition, row.on_default_branch) == (None, True)
    assert "key.unknown" in {each["code"] for each in row.problems}
    assert "job:" in row.text
    assert current_definition(product()) == good
    assert Job.objects.get().commands == "make"
    with pytest.raises(BrokenFileError):
        definition_at(product(), commit)


def test_a_file_that_is_gone_keeps_the_last_good_definition(repository: Repository) -> None:
    good = current_definition(product())
    commit = pushed(repository, None)
    row = import_commit(product().pk, commit)

    assert row is not None
    assert [each["code"] for each in row.problems] == ["file.missing"]
    assert current_definition(product()) == good


def test_a_file_of_a_commit_is_read_when_a_run_needs_it(repository: Repository) -> None:
    branch = repository.commit(FILE.replace("make", "ninja"), branch="topic")
    definition = definition_at(product(), branch)

    assert definition != current_definition(product())
    assert not CommitFile.objects.get(commit=branch).on_default_branch
    assert definition_at(product(), branch) == definition
    without = repository.commit(None, branch="empty")
    with pytest.raises(FileMissingError, match="no file"):
        definition_at(product(), without)


def test_an_older_commit_that_comes_late_is_not_published(repository: Repository) -> None:
    older = pushed(repository, FILE.replace("make", "older"))
    newer = pushed(repository, FILE.replace("make", "newer"))
    import_commit(product().pk, newer)
    import_commit(product().pk, older)

    assert Job.objects.get().commands == "newer"
    assert CommitFile.objects.filter(commit=older).exists()


def test_a_push_cannot_become_another_product(repository: Repository) -> None:
    commit = pushed(repository, FILE.replace("product: thing", "product: theirs"))
    row = import_commit(product().pk, commit)

    assert row is not None
    assert [(each["code"], each["line"]) for each in row.problems] == [("product.other-name", 1)]
    assert [each.name for each in Product.objects.all()] == ["thing"]
    assert Belt.objects.get().archived_at is None


def test_a_push_does_not_move_the_product_to_another_repository(repository: Repository) -> None:
    commit = pushed(repository, FILE + "source: https://elsewhere.example/thing.git\n")
    row = import_commit(product().pk, commit)

    assert row is not None
    assert [each["code"] for each in row.problems] == ["product.other-source"]
    assert current_definition(product()) == row.definition
    assert Source.objects.get().url == str(repository.bare)


def test_a_commit_of_a_detached_product_is_left_alone(repository: Repository) -> None:
    commit = pushed(repository, FILE.replace("make", "ninja"))
    detach(product())

    assert import_commit(product().pk, commit) is None
    assert Job.objects.get().commands == "make"
    assert definition_at(product(), commit) == current_definition(product())


def test_a_commit_that_was_pushed_over_is_left_alone(repository: Repository) -> None:
    assert import_commit(product().pk, "0" * 40) is None
    assert Job.objects.get().commands == "make"


def test_delivering_the_same_commit_again_changes_nothing(repository: Repository) -> None:
    commit = pushed(repository, FILE.replace("make", "ninja"))
    first = import_commit(product().pk, commit)
    again = import_commit(product().pk, commit)

    assert first is not None
    assert again is not None
    assert first.definition == again.definition
    assert CommitFile.objects.filter(commit=commit).count() == 1
