"""Importing: files, checkouts and repositories; what is refused, and that nothing is half done."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from belts.definitions import current_definition
from belts.importing import ImportOptions, ImportOutcome, import_sources
from belts.models import Belt, CommitFile, Definition, Job, Trigger
from products.models import Configuration, Credential, Product, Source
from tests import builders
from tests.belts.git_repositories import Repository

pytestmark = [pytest.mark.django_db, pytest.mark.database]

SCENARIOS = Path(__file__).resolve().parents[1] / "scenarios"
FILES = {
    "gem": SCENARIOS / "01_ror_api_backend" / "ror-api-backend.conveyor.yml",
    "ami": SCENARIOS / "02_ami" / "ami.conveyor.yml",
    "terraform": SCENARIOS / "03_terraform" / "terraform.conveyor.yml",
}
SMALL = """\
product: small
belts:
  - name: build
    jobs:
      - {name: compile, commands: make, outputs: [FILE]}
"""
DANGLING = {"trigger.unknown-belt", "trigger.unknown-upstream-belt"}


def imported(*sources: Path | str, **options: bool | str) -> list[ImportOutcome]:
    return import_sources([str(each) for each in sources], ImportOptions(**options))  # type: ignore[arg-type]  # by name


def a_file(folder: Path, text: str, name: str = "small.yml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def codes(outcome: ImportOutcome) -> set[str]:
    return {problem.code for problem in outcome.problems} - {"product.no-source"}


# The three files of the original description


@pytest.mark.parametrize("order", list(permutations(FILES)))
def test_the_original_files_are_imported_at_once_in_any_order(order: tuple[str, ...]) -> None:
    outcomes = dict(zip(order, imported(*(FILES[name] for name in order)), strict=True))

    assert not any(outcome.failed for outcome in outcomes.values())
    assert codes(outcomes["gem"]) == {"trigger.never-fires"}
    assert codes(outcomes["ami"]) == set()
    assert codes(outcomes["terraform"]) == DANGLING
    assert all(problem.hint for problem in outcomes["terraform"].problems)
    assert Belt.objects.count() == 4
    assert Source.objects.get().url == "git://github.com/ror-api-backend"


@pytest.mark.parametrize("order", list(permutations(FILES)))
def test_the_original_files_are_imported_one_by_one_in_any_order(order: tuple[str, ...]) -> None:
    for name in order:
        assert not imported(FILES[name])[0].failed

    files = CommitFile.objects.select_related("product")
    left = {file.product.name: {each["code"] for each in file.problems} for file in files}
    assert left == {
        "ror-api-backend": set(),
        "ami": {"product.no-source"},
        "terraform": DANGLING | {"product.no-source"},
    }


def test_the_broken_trigger_of_the_third_file_is_stored_as_such() -> None:
    imported(*FILES.values())
    trigger = Trigger.objects.get(product__name="terraform")

    assert 'no belt "build-ror-ami"' in trigger.broken
    assert 'Did you mean "build-gem"?' in trigger.broken
    assert (trigger.upstream_product, trigger.upstream_belt) == ("ami", "build-gem")


# Once and again


def test_a_second_import_changes_nothing(tmp_path: Path) -> None:
    first = imported(a_file(tmp_path, SMALL))[0]
    again = imported(a_file(tmp_path, SMALL))[0]

    assert first.changes is not None
    assert first.changes.created == ["product small", "belt build", "job build.compile"]
    assert again.changes is not None
    assert not again.changes
    assert (Definition.objects.count(), CommitFile.objects.count()) == (1, 1)


def test_what_a_file_no_longer_has_is_archived_and_removed(tmp_path: Path) -> None:
    more = SMALL + "  - name: tidy\n    jobs: [{name: sweep, commands: make clean}]\n"
    imported(a_file(tmp_path, more))
    outcome = imported(a_file(tmp_path, SMALL.replace("compile", "build")))[0]

    assert outcome.changes is not None
    assert outcome.changes.created == ["job build.build"]
    assert outcome.changes.removed == ["belt tidy (archived; its runs stay)", "job build.compile"]


def test_check_says_what_would_change_and_writes_nothing(tmp_path: Path) -> None:
    other = "product: other\nbelts: [{name: b, jobs: [{name: j, commands: x, inputs: small}]}]\n"
    outcomes = imported(a_file(tmp_path, SMALL), a_file(tmp_path, other, "other.yml"), check=True)

    assert [codes(outcome) for outcome in outcomes] == [set(), set()]
    assert outcomes[0].changes is not None
    assert "belt build" in outcomes[0].changes.created
    for model in (Product, Definition, CommitFile, Belt):
        assert not model._default_manager.exists()


def test_strict_takes_warnings_for_errors(tmp_path: Path) -> None:
    outcome = imported(FILES["terraform"], strict=True)[0]
    assert outcome.failed
    assert not Product.objects.exists()

    named = a_file(tmp_path, SMALL + "source: https://git.example/acme/small.git\n")
    assert not imported(named, strict=True)[0].failed


def test_a_source_that_fails_keeps_no_other_from_being_imported(tmp_path: Path) -> None:
    broken = a_file(tmp_path, SMALL.replace("jobs:", "job:"), "broken.yml")
    fine = a_file(tmp_path, SMALL)
    outcomes = imported(broken, tmp_path / "missing.yml", fine)

    assert [outcome.failed for outcome in outcomes] == [True, True, False]
    assert "key.unknown" in codes(outcomes[0])
    assert "is not a file, a folder" in str(outcomes[1].error)
    assert Product.objects.get().name == "small"


def test_a_refused_product_is_not_known_to_the_others(tmp_path: Path) -> None:
    first = "product: one\nbelts: [{name: b, jobs: [{name: j, commands: x, inputs: two}]}]\n"
    second = "product: two\nbelts: [{name: b, jobs: [{name: j, commands: x, inputs: three}]}]\n"
    source = "source: https://git.example/acme/{}.git\n"
    outcomes = imported(
        a_file(tmp_path, first + source.format("one"), "one.yml"),
        a_file(tmp_path, second + source.format("two"), "two.yml"),
        strict=True,
    )
    assert [codes(outcome) for outcome in outcomes] == [{"input.unknown-product"}] * 2


def test_one_product_twice_is_refused(tmp_path: Path) -> None:
    outcomes = imported(a_file(tmp_path, SMALL), a_file(tmp_path, SMALL, "again.yml"))
    assert [outcome.failed for outcome in outcomes] == [False, True]
    assert "described by" in str(outcomes[1].error)


# Whose product it is


def test_a_product_of_the_admin_is_only_taken_over_when_asked(tmp_path: Path) -> None:
    belt = builders.a_belt("by-hand", product=builders.a_product("small"))
    refused = imported(a_file(tmp_path, SMALL))[0]
    assert refused.error is not None
    assert refused.error.code == "product.admin-managed"
    assert "--take-over" in str(refused.error)
    assert not Definition.objects.exists()

    taken = imported(a_file(tmp_path, SMALL), take_over=True)[0]
    assert taken.changes is not None
    assert taken.changes.changed == ["product small (managed by its file now)"]
    belt.refresh_from_db()
    assert belt.archived_at is not None
    assert Product.objects.get().is_file_managed


def test_another_name_in_the_file_is_another_product(tmp_path: Path) -> None:
    imported(a_file(tmp_path, SMALL))
    imported(a_file(tmp_path, SMALL.replace("product: small", "product: tiny")))
    assert {product.name for product in Product.objects.all()} == {"small", "tiny"}
    assert Belt.objects.filter(product__name="small", archived_at=None).exists()


def test_triggers_that_answer_another_repository_are_told_of(tmp_path: Path) -> None:
    text = "triggers: [{scm-event: null, repo: 'git://host.example/a', type: push, belts: build}]\n"
    file = a_file(tmp_path, SMALL + text)
    assert codes(imported(file)[0]) == set()
    assert codes(imported(file, source="https://host.example/a.git")[0]) == set()

    outcome = imported(file, source="https://host.example/b.git")[0]
    assert not outcome.failed
    [problem] = outcome.problems
    assert (problem.code, problem.line) == ("trigger.other-repository", 6)
    assert "https://host.example/b.git" in problem.message
    assert "Leave repo out" in problem.hint


# Repositories


@pytest.fixture
def local_sources() -> None:
    Configuration.objects.create(allow_local_sources=True)


@pytest.mark.usefixtures("local_sources")
def test_a_repository_is_imported_at_its_head_or_at_a_ref(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    head = repository.commit(SMALL)
    other = repository.commit(SMALL.replace("make", "ninja"), branch="next")
    url = f"file://{repository.bare}"

    assert not imported(url)[0].failed
    assert Source.objects.get().url == url
    row = CommitFile.objects.get()
    assert (row.commit, row.on_default_branch) == (head, True)
    assert Job.objects.get().commands == "make"

    assert not imported(url, ref="next")[0].failed
    assert Job.objects.get().commands == "ninja"
    assert not CommitFile.objects.get(commit=other).on_default_branch


@pytest.mark.usefixtures("local_sources")
def test_a_missing_ref_is_told_with_the_nearest(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.commit(SMALL, branch="release")
    for source in (repository.bare, repository.work):
        outcome = imported(source, ref="relaese")[0]
        assert outcome.error is not None
        assert outcome.error.code == "source.ref-missing"
        assert "Did you mean release?" in str(outcome.error)
    assert not Product.objects.exists()


@pytest.mark.usefixtures("local_sources")
def test_a_checkout_gives_the_repository_it_was_cloned_from(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    head = repository.commit(SMALL)
    assert not imported(repository.work)[0].failed
    assert Source.objects.get().url == str(repository.bare)
    assert CommitFile.objects.get().commit == head

    (repository.work / ".conveyor.yml").write_text(SMALL.replace("make", "ninja"))
    imported(repository.work)
    assert Job.objects.get().commands == "ninja"
    assert CommitFile.objects.order_by("-id")[0].commit == ""

    imported(repository.work, ref="main")
    assert Job.objects.get().commands == "make"


def test_a_checkouts_origin_that_is_not_allowed_is_passed_over(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.commit(SMALL)
    outcome = imported(repository.work)[0]

    assert not outcome.failed
    assert "Allow local sources" in outcome.problems[0].message
    assert not Source.objects.exists()


def test_the_source_is_the_first_that_tells(tmp_path: Path) -> None:
    said, given = "https://git.example/acme/said.git", "https://git.example/acme/given.git"
    imported(a_file(tmp_path, SMALL), source=given)
    assert Source.objects.get().url == given
    imported(a_file(tmp_path, SMALL))
    assert Source.objects.get().url == given
    outcome = imported(a_file(tmp_path, SMALL + f"source: {said}\n"), source=given)[0]
    assert Source.objects.get().url == said
    assert outcome.changes is not None
    assert f"source {said}" in outcome.changes.changed


def test_the_source_follows_the_triggers_that_named_it(tmp_path: Path) -> None:
    text = SMALL + "triggers: [{scm-event: {type: push, repo: URL, belts: build}}]\n"
    imported(a_file(tmp_path, text.replace("URL", "https://git.example/acme/one")))
    assert Source.objects.get().url.endswith("one")
    imported(a_file(tmp_path, text.replace("URL", "https://git.example/acme/two")))
    assert Source.objects.get().url.endswith("two")


def test_a_source_that_may_not_be_used_is_refused_with_nothing_written(tmp_path: Path) -> None:
    outcome = imported(a_file(tmp_path, SMALL + "source: ext::sh\n"))[0]
    (problem,) = outcome.problems
    assert (problem.code, problem.severity, problem.path) == ("source.url", "error", "source")
    assert problem.line == SMALL.count("\n") + 1
    assert not Product.objects.exists()


def test_all_problems_come_at_once_also_those_with_the_site(tmp_path: Path) -> None:
    mistakes = "comands: x, credentials: deploy-key, commands: 'echo ${gone.X}'"
    text = SMALL.replace("commands: make", mistakes)
    outcome = imported(a_file(tmp_path, text + "source: http://git.example/x\n"))[0]
    assert {each.code for each in outcome.problems} == {
        "key.unknown",
        "reference.unknown-product",
        "job.unknown-credential",
        "source.url",
    }
    assert not Product.objects.exists()


def test_products_that_are_refused_together_still_know_one_another(tmp_path: Path) -> None:
    first = SMALL.replace("commands: make", "comands: x, commands: make")
    second = SMALL.replace("product: small", "product: other")
    second = second.replace("commands: make", "comands: x, commands: 'echo ${small.FILE}'")
    outcomes = imported(a_file(tmp_path, first, "1.yml"), a_file(tmp_path, second, "2.yml"))
    told = [[each.code for each in outcome.problems] for outcome in outcomes]
    assert [codes.count("key.unknown") for codes in told] == [1, 1]
    assert not {"reference.unknown-product", "reference.undeclared-output"} & set(told[1])


def test_a_credential_that_is_not_there_or_not_bound_is_a_warning_and_not_kept(
    tmp_path: Path,
) -> None:
    text = SMALL.replace("commands: make", "commands: make, credentials: [deploy-key, bound, else]")
    Credential.objects.create(name="else")
    imported(a_file(tmp_path, text))
    Credential.objects.create(name="bound").products.add(Product.objects.get())

    outcome = imported(a_file(tmp_path, text))[0]
    told = [each for each in outcome.problems if each.code == "job.unknown-credential"]
    assert [each.severity for each in told] == ["warning", "warning"]
    assert 'There is no credential "deploy-key"' in told[0].message
    assert 'may not use the credential "else"' in told[1].message
    assert [each.path[-12:] for each in told] == ["s.deploy-key", "entials.else"]
    assert told[0].line == told[1].line
    assert (told[1].column or 0) > (told[0].column or 0)
    assert not outcome.failed
    kept = CommitFile.objects.latest("id").problems
    assert [each["code"] for each in kept if each["code"] == "job.unknown-credential"] == []


def test_a_product_without_a_repository_is_imported_with_a_warning(tmp_path: Path) -> None:
    outcome = imported(a_file(tmp_path, SMALL))[0]
    assert [problem.code for problem in outcome.problems] == ["product.no-source"]
    assert current_definition(Product.objects.get()).digest


# What cannot be read


def test_a_belt_file_that_is_a_link_is_refused_by_that_name(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    (repository.work / ".conveyor.yml").symlink_to("/etc/passwd")
    (outcome,) = imported(repository.work)
    assert "is a link, and links are not followed" in str(outcome.error)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("nothing-here.yml", "is not a file, a folder or the URL"),
        ("", "is not a file, a folder or the URL"),
        ("a\0b", "is not a file, a folder or the URL"),
        ("/dev/null", "no plain file"),
        ("svn://host.example/x", "not fetched over"),
        ("https://user:word@host.example/x", "username or password"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(source: str, says: str) -> None:
    outcome = imported(source)[0]
    assert says in str(outcome.error)
    assert "word" not in str(outcome.error).replace("password", "")


def test_folders_without_a_file_and_refs_of_files_are_sentences(tmp_path: Path) -> None:
    assert "has no .conveyor.yml" in str(imported(tmp_path)[0].error)
    assert "is a file" in str(imported(a_file(tmp_path, SMALL), ref="main")[0].error)
    a_file(tmp_path, SMALL, ".conveyor.yml")
    assert "no checkout" in str(imported(tmp_path, ref="main")[0].error)
    assert not imported(tmp_path)[0].failed


@pytest.mark.usefixtures("local_sources")
def test_a_repository_without_a_file_is_a_sentence(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    assert "no commit on a default branch" in str(imported(repository.bare)[0].error)
    repository.commit(None)
    assert "There is no file .conveyor.yml" in str(imported(repository.bare)[0].error)
    missing = imported(f"file://{tmp_path}/nothing.git")[0]
    assert missing.error is not None
    assert missing.error.code == "source.unreachable"


def test_bytes_that_are_no_text_are_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "bad.yml"
    path.write_bytes(b"product: caf\xe9\n")
    outcome = imported(path)[0]
    assert outcome.failed
    assert codes(outcome) == {"file.not-utf8"}
