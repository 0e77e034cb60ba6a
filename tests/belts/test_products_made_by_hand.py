"""Products that the admin manages: their rows are a definition like a file's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from belts.definitions import current_definition, publish, spec_of, store_definition
from belts.errors import BrokenFileError, FileManagedError
from belts.models import Belt, Job, Trigger
from belts.ownership import detach, take_over
from belts.rows import publish_rows, read_rows
from belts.spec import digest, parse_belt_text
from products.models import Product, Source
from tests import builders

pytestmark = [pytest.mark.django_db, pytest.mark.database]

SCENARIOS = Path(__file__).resolve().parents[1] / "scenarios"
FULL = """\
product: gem
description: A gem.
triggers:
  - scm-event: {type: [push, tag], branches: [main, "release/*"]}
    belts: [build, tidy]
  - schedule: {cron: "30 3 * * *", timezone: Europe/Berlin}
    belts: tidy
  - upstream-build: {upstream-product: base, upstream-belt: image, on: always, build: last}
    belts: build
  - manual: {belts: build}
belts:
  - name: build
    description: Builds it.
    env: {MODE: fast}
    downstreams: [{downstream-product: image, belts: pack, on: [success, failure]}]
    jobs:
      - name: compile
        inputs: [source, {from: base.image, build: last_successful}]
        env: {LEVEL: "2", PLACE: "${base.image.PLACE}"}
        credentials: [deploy-key]
        working-directory: src
        pre-run: ./configure
        commands: |
          make
            echo "indented"
        post-run: ./clean
        post-run-timeout: 2m
        outputs: [{String: FILE=a.gem}, VERSION]
        retry: {max: 2, on: timeout, delay: 5m, exit-codes: [3]}
        timeout: 10m
      - {name: check, inputs: compile, commands: "x = 1", shell: python, queue: big, retry: 1}
  - name: tidy
    jobs:
      - {name: sweep, commands: make clean}
"""


def file_digest(text: str | bytes) -> str:
    file = parse_belt_text(text).file
    assert file is not None
    return digest(file)


def published(text: str | bytes) -> Product:
    file = parse_belt_text(text).file
    assert file is not None
    product = builders.a_product(file.product, managed_by=Product.Manager.FILE)
    publish(product, store_definition(product, file))
    return product


@pytest.mark.parametrize(
    "text",
    [FULL, *(path.read_text() for path in sorted(SCENARIOS.glob("0[123]_*/*.yml")))],
    ids=["full", "ror-api-backend", "ami", "terraform"],
)
def test_rows_of_a_file_are_that_files_definition(text: str) -> None:
    product = published(text)
    before = current_definition(product)
    assert detach(product)

    changes, _ = publish_rows(product)
    assert not changes
    assert current_definition(product) == before
    assert before.digest == file_digest(text)


def by_hand(**job: Any) -> Product:
    """Make the rows of ``SAME`` as somebody types them, with the line ends of a browser."""
    product = builders.a_product("hand", description="Made.")
    belt = Belt.objects.create(product=product, name="build", env={"MODE": "fast"})
    given = {"commands": "make\r\nmake check\r\n", "inputs": "source", "outputs": ["FILE"], **job}
    Job.objects.create(belt=belt, name="compile", **given)
    Job.objects.create(belt=belt, name="pack", inputs=["compile"], commands="tar", retry=0)
    Trigger.objects.create(
        product=product,
        kind="scm-event",
        details={"repo": "https://git.example/acme/hand.git", "type": "merge"},
        belts="build",
    )
    return product


SAME = """\
product: hand
description: Made.
triggers:
  - scm-event: {repo: "https://git.example/acme/hand.git", type: merge}
    belts: build
belts:
  - name: build
    env: {MODE: fast}
    jobs:
      - {name: compile, inputs: source, commands: [make, make check], outputs: [{String: FILE}]}
      - {name: pack, inputs: compile, commands: tar}
"""


def test_a_product_made_by_hand_is_the_definition_of_its_file() -> None:
    product = by_hand()
    publish_rows(product)

    assert current_definition(product).digest == file_digest(SAME)
    assert Job.objects.get(name="compile").commands == "make\nmake check"
    assert Trigger.objects.get().details["type"] == ["merge"]
    assert Source.objects.get().url == "https://git.example/acme/hand.git"
    assert not publish_rows(product)[0]


def test_rows_keep_their_ids_when_they_are_published() -> None:
    product = by_hand()
    ids = set(Job.objects.values_list("pk")) | set(Trigger.objects.values_list("pk"))
    publish_rows(product)
    assert set(Job.objects.values_list("pk")) | set(Trigger.objects.values_list("pk")) == ids


def test_an_edit_makes_a_new_definition_and_runs_keep_theirs() -> None:
    product = by_hand()
    publish_rows(product)
    before = current_definition(product)
    Job.objects.filter(name="pack").update(commands="zip")
    changes, _ = publish_rows(product)

    assert not changes
    assert current_definition(product) != before
    before.refresh_from_db()
    assert [job.commands for job in spec_of(before).belts[0].jobs][1] == "tar"


def test_mistakes_are_told_by_the_name_of_the_row_and_publish_nothing() -> None:
    product = by_hand(inputs=["nowhere."], outputs=[{"String": "PATH"}])
    with pytest.raises(BrokenFileError) as caught:
        publish_rows(product)

    assert {problem.code for problem in caught.value.problems} == {
        "value.malformed",
        "name.reserved",
    }
    assert caught.value.problems[0].path == "job build.compile inputs[0]"
    assert not product.definitions.exists()


def test_what_concerns_other_products_is_a_warning() -> None:
    product = by_hand(inputs=["elsewhere.belt"])
    _, warnings = publish_rows(product)
    assert [(each.code, each.severity) for each in warnings] == [
        ("input.unknown-product", "warning")
    ]
    assert read_rows(product).file is not None


def test_a_trigger_of_a_missing_belt_is_stored_as_broken() -> None:
    product = by_hand()
    Trigger.objects.update(belts=["biuld"])
    publish_rows(product)
    assert 'Did you mean "build"?' in Trigger.objects.get().broken


def test_a_source_that_nothing_else_names_is_part_of_the_definition() -> None:
    product = by_hand()
    Trigger.objects.all().delete()
    builders.a_source(product, url="https://git.example/acme/hand.git")
    publish_rows(product)
    assert spec_of(current_definition(product)).source == "https://git.example/acme/hand.git"


def test_archived_belts_are_no_part_of_the_definition() -> None:
    product = by_hand()
    builders.a_belt("old", product=product, archived_at="2026-01-01T00:00:00Z")
    publish_rows(product)
    assert current_definition(product).digest == file_digest(SAME)


def test_rows_of_a_file_are_not_published_by_hand() -> None:
    product = published(FULL)
    with pytest.raises(FileManagedError, match="edit the file, or detach"):
        publish_rows(product)


def test_a_product_has_one_owner_at_a_time() -> None:
    product = published(FULL)
    assert detach(product)
    assert not detach(product)
    product.refresh_from_db()
    assert not product.is_file_managed
    assert Belt.objects.filter(product=product, archived_at=None).count() == 2
    assert take_over(product)
    assert not take_over(product)
    product.refresh_from_db()
    assert product.is_file_managed
