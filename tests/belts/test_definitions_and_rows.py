"""Publishing a definition: rows, archives, schedules, digests."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from belts.alignment import Changes
from belts.definitions import (
    DatabaseCatalogue,
    current_definition,
    definition_at,
    publish,
    spec_of,
    store_definition,
)
from belts.errors import BrokenFileError, NoDefinitionError
from belts.models import Belt, Definition, Job, Trigger
from belts.spec import parse_belt_text
from belts.timetable import next_time
from products.models import Product
from tests import builders

pytestmark = [pytest.mark.django_db, pytest.mark.database]

FIRST = """\
product: gem
description: A gem.
triggers:
  - schedule: {cron: "30 3 * * *", timezone: Europe/Berlin}
    belts: build
  - upstream-build: {upstream-product: base, upstream-belt: image}
    belts: build
belts:
  - name: build
    env: {MODE: fast}
    jobs:
      - name: compile
        inputs: source
        env: {LEVEL: "2"}
        commands: make
        outputs: [{String: FILE=a.gem}]
        retry: {max: 2, on: timeout, delay: 5m}
        timeout: 10m
      - {name: check, inputs: compile, commands: make check, shell: sh, queue: big}
  - name: tidy
    jobs:
      - {name: sweep, commands: make clean}
"""


def published(product: Product, text: str) -> Changes:
    file = parse_belt_text(text).file
    assert file is not None
    return publish(product, store_definition(product, file))


def gem() -> Product:
    return builders.a_product("gem", managed_by=Product.Manager.FILE)


def test_publishing_makes_the_rows_that_the_file_describes() -> None:
    product = gem()
    changes = published(product, FIRST)

    assert changes.created == [
        "belt build",
        "belt tidy",
        "job build.compile",
        "job build.check",
        "job tidy.sweep",
        "trigger schedule of build",
        "trigger upstream-build of build",
    ]
    job = Job.objects.get(name="compile")
    assert job.inputs == ["source"]
    assert job.env == {"LEVEL": "2"}
    assert job.belt.env == {"MODE": "fast"}
    assert job.outputs == [{"String": "FILE=a.gem"}]
    assert job.retry == {"max": 2, "on": ["timeout"], "delay": "5m"}
    assert (job.timeout, job.shell, job.queue) == ("10m", "bash", "")
    listener = Trigger.objects.get(kind="upstream-build")
    assert (listener.upstream_product, listener.upstream_belt) == ("base", "image")
    assert listener.broken == ""
    product.refresh_from_db()
    assert product.description == "A gem."


def test_publishing_the_same_again_changes_nothing() -> None:
    product = gem()
    published(product, FIRST)
    rows = set(Trigger.objects.values_list("pk", "due_at"))

    assert not published(product, FIRST)
    assert Definition.objects.count() == 1
    assert set(Trigger.objects.values_list("pk", "due_at")) == rows


def test_a_belt_that_vanishes_is_archived_and_comes_back_as_itself() -> None:
    product = gem()
    published(product, FIRST)
    tidy = Belt.objects.get(name="tidy")
    run = builders.a_belt_run(belt=tidy)
    changes = published(product, FIRST[: FIRST.index("  - name: tidy")])

    assert changes.removed == ["belt tidy (archived; its runs stay)"]
    tidy.refresh_from_db()
    assert tidy.archived_at is not None
    assert tidy.runs.get() == run
    assert tidy.jobs.exists()

    assert published(product, FIRST).created == ["belt tidy (again)"]
    tidy.refresh_from_db()
    assert tidy.archived_at is None


def test_changed_and_removed_parts_are_named() -> None:
    product = gem()
    published(product, FIRST)
    text = FIRST.replace("commands: make\n", "commands: make all\n").replace(
        "upstream-belt: image", "upstream-belt: disk"
    )
    text = text.replace("      - {name: check,", "      - {name: verify,")
    changes = published(product, text)

    assert changes.created == ["job build.verify"]
    assert changes.changed == ["job build.compile", "trigger upstream-build of build"]
    assert changes.removed == ["job build.check"]
    assert Trigger.objects.get(kind="upstream-build").upstream_belt == "disk"


def test_a_schedule_keeps_its_due_time_until_the_schedule_changes() -> None:
    product = gem()
    published(product, FIRST)
    due = datetime(2031, 5, 5, 1, 30, tzinfo=UTC)
    Trigger.objects.filter(kind="schedule").update(due_at=due)
    published(product, FIRST.replace("Berlin}\n    belts: build", "Berlin}\n    belts: tidy"))
    trigger = Trigger.objects.get(kind="schedule")
    assert (trigger.belts, trigger.due_at) == (["tidy"], due)

    published(product, FIRST.replace("30 3", "31 3"))
    trigger.refresh_from_db()
    assert trigger.due_at is not None
    assert trigger.due_at != due
    assert trigger.due_at.minute == 31


def test_a_schedule_is_read_in_its_time_zone() -> None:
    winter, summer = datetime(2026, 1, 10, tzinfo=UTC), datetime(2026, 7, 10, tzinfo=UTC)
    assert next_time("30 3 * * *", "Europe/Berlin", after=winter) == winter.replace(
        hour=2, minute=30
    )
    assert next_time("30 3 * * *", "Europe/Berlin", after=summer) == summer.replace(
        hour=1, minute=30
    )
    assert next_time("30 3 * * *", None, after=summer) == summer.replace(hour=3, minute=30)


def test_a_trigger_that_names_a_missing_belt_is_stored_as_broken() -> None:
    published(gem(), FIRST.replace("belts: build\n  - up", "belts: biuld\n  - up"))
    broken = Trigger.objects.get(kind="schedule")
    assert 'no belt "biuld"' in broken.broken
    assert 'Did you mean "build"?' in broken.broken


def test_one_definition_is_current_and_says_what_was_published() -> None:
    product = gem()
    published(product, FIRST)
    first = current_definition(product)
    published(product, FIRST.replace("A gem.", "Another."))
    second = current_definition(product)

    assert first != second
    assert spec_of(second).description == "Another."
    assert spec_of(Definition.objects.get(pk=first.pk)).description == "A gem."
    file = DatabaseCatalogue().product("gem")
    assert file is spec_of(second)
    assert DatabaseCatalogue().product("unknown") is None


def test_a_product_without_a_definition_says_so() -> None:
    with pytest.raises(NoDefinitionError, match="import its"):
        current_definition(gem())


def test_without_a_source_or_a_commit_the_present_definition_is_used() -> None:
    product = gem()
    published(product, FIRST)
    assert definition_at(product, "0" * 40) == current_definition(product)
    builders.a_source(product)
    assert definition_at(product, "") == current_definition(product)


def test_a_commit_that_was_read_is_not_read_again() -> None:
    product = gem()
    builders.a_source(product)
    published(product, FIRST)
    older = builders.a_definition(product, {"old": ["job"]})
    builders.a_commit_file(product, commit="1" * 40, definition=older)
    assert definition_at(product, "1" * 40) == older


def test_a_commit_with_a_broken_file_is_refused_with_its_problems() -> None:
    product = gem()
    builders.a_source(product)
    problems = [each.to_document() for each in parse_belt_text("product: gem\nbelt: []").problems]
    builders.a_commit_file(product, commit="2" * 40, problems=problems)
    with pytest.raises(BrokenFileError) as caught:
        definition_at(product, "2" * 40)
    assert caught.value.code == "definition.broken"
    assert [each.code for each in caught.value.problems] == ["key.unknown"]
    assert "222222222222" in str(caught.value)
