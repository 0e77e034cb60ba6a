"""What a newer version stored is shown where that is safe, and refused where it would be run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from belts.definitions import definition_at, publish, spec_of, store_definition
from belts.errors import BrokenFileError, UnknownDefinitionError
from belts.models import CommitFile, Definition
from belts.neighbours import renew_source_warnings, renew_warnings
from belts.spec import parse_belt_text
from belts.spec.problems import Problem, render_text
from products.models import Event, Product
from runs.models import BeltRun, JobRun, Supplier
from runs.states import AttemptState, BeltRunState, JobRunState, UnknownStateError
from runs.triggers import start_for_event
from tests import builders
from tests.engine import Worker, publish_text, start_text, states

pytestmark = [pytest.mark.django_db, pytest.mark.database]

FILE = """
    product: gem
    triggers:
      - scm-event: {type: push}
        belts: build
      - upstream-build: {upstream-product: base, upstream-belt: image, build: last}
        belts: build
    belts:
      - name: build
        downstreams: [{downstream-product: site, belts: deploy}]
        jobs:
          - name: compile
            inputs: [source, {from: base.image, build: last}]
            commands: make
            outputs: [{String: FILE}]
            retry: {max: 1, on: failure}
            downstreams: [{downstream-product: site, belts: deploy}]
"""
NEWER_PROBLEM = {
    "code": "matrix.too-large",
    "severity": "error",
    "message": "The matrix has 900 jobs.",
    "line": 3,
    "column": 1,
    "url": "https://docs.example/matrix",
}


def document() -> dict[str, Any]:
    parsed = parse_belt_text("\n".join(line[4:] for line in FILE.splitlines()))
    assert parsed.file is not None, parsed.problems
    return parsed.file.to_document()


def job(of: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = of["belts"][0]["jobs"][0]
    return found


#: What a newer version may write, and how the refusal names it.
NEWER: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "key of the file": (lambda of: of.update(concurrency=1), 'the key "concurrency"'),
    "key of a job": (lambda of: job(of).update(matrix=[]), 'the key "matrix"'),
    "shape": (lambda of: of.update(belts=None), "a value of another shape"),
    "shell": (lambda of: job(of).update(shell="pwsh"), 'the shell "pwsh"'),
    "input": (lambda of: job(of)["inputs"][0].update(kind="artifact"), "the kind of input"),
    "build": (lambda of: job(of)["inputs"][1].update(build="last_green"), "the build"),
    "output": (lambda of: job(of)["outputs"][0].update(type="File"), 'the type of output "File"'),
    "retry": (lambda of: job(of)["retry"].update(on=["oom"]), "the reason for another attempt"),
    "end of a job": (lambda of: job(of)["downstreams"][0].update(on=["slow"]), "the end of"),
    "end of a belt": (
        lambda of: of["belts"][0]["downstreams"][0].update(on=["slow"]),
        "the end of",
    ),
    "trigger": (lambda of: of["triggers"][0].update(kind="webhook"), 'the trigger "webhook"'),
    "event": (lambda of: of["triggers"][0].update(types=["issue"]), 'the event "issue"'),
    "build of a trigger": (lambda of: of["triggers"][1].update(build="any"), 'the build "any"'),
}


def a_newer_definition(product: Product) -> Definition:
    """Make the present definition of the product one that has a shell of a newer version."""
    newer = document()
    job(newer)["shell"] = "pwsh"
    Definition.objects.filter(current_of=product).update(current_of=None)
    return Definition.objects.create(
        product=product, digest="newer", document=newer, current_of=product
    )


# --- Definitions ----------------------------------------------------------------------------------
def test_document_of_this_version_is_read() -> None:
    row = Definition.objects.create(product=builders.a_product(), digest="x", document=document())
    assert spec_of(row).to_document() == document()


@pytest.mark.parametrize("what", NEWER)
def test_definition_with_unknown_construct_is_refused(what: str) -> None:
    change, sentence = NEWER[what]
    newer = document()
    change(newer)
    row = Definition.objects.create(product=builders.a_product(), digest="x", document=newer)
    with pytest.raises(UnknownDefinitionError, match=f"{sentence}.*this version of Conveyor"):
        spec_of(row)


def test_start_of_unknown_definition_is_refused_with_the_sentence(client: Client) -> None:
    product = publish_text(FILE)
    belt = product.belts.get(name="build")
    a_newer_definition(product)
    client.force_login(builders.a_user(staff=True))
    answer = client.post(f"/api/v1/belts/{belt.pk}/start/", {}, content_type="application/json")
    assert answer.status_code == 409
    assert answer.json()["code"] == "definition.unknown"
    assert not BeltRun.objects.exists()


def test_admin_shows_the_sentence_instead_of_an_unknown_definition(client: Client) -> None:
    row = a_newer_definition(publish_text(FILE))
    client.force_login(builders.a_user(staff=True))
    page = client.get(reverse("admin:belts_definition_change", args=[row.pk]))
    assert "the shell &quot;pwsh&quot;, which this version" in page.content.decode()


def test_unknown_definition_is_replaced_by_an_import_of_this_version() -> None:
    product = publish_text(FILE)
    a_newer_definition(product)
    publish_text(FILE)
    current = Definition.objects.get(current_of=product)
    assert spec_of(current).to_document() == document()


def test_unknown_definition_keeps_no_other_product_from_its_warnings() -> None:
    a_newer_definition(publish_text(FILE))
    other = publish_text(FILE.replace("product: gem", "product: gum"))
    stale = Problem("input.unknown-product", "warning", "There is no product base.")
    row = builders.a_product()
    assert row != other
    CommitFile.objects.create(
        product=other,
        commit="c" * 40,
        text="\n".join(line[4:] for line in FILE.replace("gem", "gum").splitlines()),
        definition=Definition.objects.get(current_of=other),
        problems=[{**stale.to_document(), "excerpt": ""}],
    )
    assert renew_warnings() == 1


# --- Problems -------------------------------------------------------------------------------------
def test_stored_problem_of_a_newer_version_is_shown() -> None:
    problem = Problem.from_document(NEWER_PROBLEM)
    assert problem.is_error
    assert "The matrix has 900 jobs. [matrix.too-large]" in render_text([problem], "a\nb\nc", "f")


def test_new_problem_needs_a_documented_code() -> None:
    with pytest.raises(ValueError, match=r"not in belts\.spec\.codes"):
        Problem("matrix.too-large", "error", "The matrix has 900 jobs.")


def test_commit_with_problems_of_a_newer_version_is_refused_and_shown(client: Client) -> None:
    product = builders.a_product()
    builders.a_source(product)
    product.managed_by = "file"
    product.save()
    row = CommitFile.objects.create(product=product, commit="c" * 40, problems=[NEWER_PROBLEM])
    with pytest.raises(BrokenFileError, match="The matrix has 900 jobs"):
        definition_at(product, "c" * 40)
    client.force_login(builders.a_user(staff=True))
    page = client.get(reverse("admin:belts_commitfile_change", args=[row.pk]))
    assert "The matrix has 900 jobs." in page.content.decode()


def test_warnings_are_renewed_beside_problems_of_a_newer_version() -> None:
    product = publish_text(FILE)
    text = "\n".join(line[4:] for line in FILE.splitlines())
    definition = store_definition(product, spec_of(Definition.objects.get()))
    publish(product, definition)
    CommitFile.objects.create(
        product=product,
        commit="c" * 40,
        text=text,
        definition=definition,
        on_default_branch=True,
        problems=[{"code": "matrix.odd", "severity": "hint", "message": "Odd.", "note": 1}],
    )
    assert renew_source_warnings(product)
    kept = CommitFile.objects.get().problems
    assert [each["code"] for each in kept] == ["matrix.odd", "product.no-source"]


# --- Words of rows --------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", [JobRunState, AttemptState, BeltRunState])
def test_state_of_a_newer_version_is_refused_with_a_sentence(kind: type) -> None:
    with pytest.raises(UnknownStateError, match=r"state 'paused'.*only that version may move"):
        kind("paused")


@pytest.mark.parametrize(
    ("model", "field", "path"),
    [
        (JobRun, "reason", "/api/v1/job-runs/{}/"),
        (Supplier, "how", "/api/v1/job-runs/{}/"),
        (Event, "origin", "/api/v1/events/{}/"),
    ],
)
def test_unknown_word_of_a_row_is_shown_as_it_is(
    client: Client, model: type[Model], field: str, path: str
) -> None:
    run = builders.a_belt_run({"compile": "queued"})
    row = run.job_runs.get()
    supplier = builders.a_supplier(row, builders.a_belt_run())
    event = builders.an_event(run.belt.product)
    shown = {JobRun: row, Supplier: row, Event: event}[model]
    changed = {JobRun: row, Supplier: supplier, Event: event}[model]
    model._default_manager.filter(pk=changed.pk).update(**{field: "newer"})
    client.force_login(builders.a_user(staff=True))
    answer = client.get(path.format(shown.pk))
    assert answer.status_code == 200, answer.content
    assert '"newer"' in answer.content.decode()
    assert client.get(run.get_absolute_url()).status_code == 200


def test_event_of_an_unknown_kind_starts_nothing_and_is_handled() -> None:
    product = publish_text(FILE)
    event = builders.an_event(product, kinds=["issue"])
    assert start_for_event(event.pk) == []
    event.refresh_from_db()
    assert event.outcome == "No trigger answers to it."


def test_job_goes_on_though_a_reason_is_of_a_newer_version() -> None:
    run = start_text("""
        product: u
        belts:
          - name: b
            jobs:
              - {name: p, commands: make}
              - {name: j, inputs: p, commands: make}
    """)
    JobRun.objects.filter(belt_run=run).update(reason="turn")
    Worker().do(run, "p")
    assert states(run) == {"p": "succeeded", "j": "queued"}
