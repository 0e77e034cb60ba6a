"""The admin of belts, jobs and triggers: saved is published, and what would break is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from belts.definitions import current_definition, publish, spec_of, store_definition
from belts.models import Belt, CommitFile, Job, Trigger
from belts.spec import parse_belt_text
from products.models import Product
from tests import builders

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def boss(client: Client, db: None) -> Client:
    client.force_login(builders.a_user("boss", staff=True))
    return client


def a_job_form(**fields: str) -> dict[str, str]:
    return {
        "name": "compile",
        "position": "0",
        "inputs": "[]",
        "env": "{}",
        "credentials": "[]",
        "shell": "bash",
        "commands": "make",
        "outputs": "[]",
        "downstreams": "[]",
        "retry": "null",
        **fields,
    }


def a_belt_form(product: Product, *jobs: dict[str, str], **fields: str) -> dict[str, str]:
    given = {
        "product": str(product.pk),
        "name": "build",
        "position": "0",
        "env": "{}",
        "downstreams": "[]",
        "jobs-TOTAL_FORMS": str(len(jobs)),
        "jobs-INITIAL_FORMS": "0",
        **fields,
    }
    for index, job in enumerate(jobs):
        given |= {f"jobs-{index}-{name}": value for name, value in job.items()}
    return given


def a_trigger_form(product: Product, **fields: str) -> dict[str, str]:
    given = {
        "product": str(product.pk),
        "position": "0",
        "kind": "manual",
        "details": "{}",
        "belts": '["build"]',
    }
    return {**given, **fields}


def add(boss: Client, kind: str, form: dict[str, str]) -> Any:
    return boss.post(reverse(f"admin:belts_{kind}_add"), form, follow=True)


def change(boss: Client, row: Any, form: dict[str, str]) -> Any:
    options = row._meta
    name = f"admin:{options.app_label}_{options.model_name}_change"
    return boss.post(reverse(name, args=[row.pk]), form, follow=True)


def test_a_product_made_in_the_admin_has_the_definition_of_its_file(boss: Client) -> None:
    product = builders.a_product("hand")
    script = "  indented\r\nmake\r\n"
    add(boss, "belt", a_belt_form(product, a_job_form(commands=script, outputs='["FILE"]')))
    details = '{"type": "tag", "repo": "https://git.example/acme/hand.git"}'
    page = add(boss, "trigger", a_trigger_form(product, kind="scm-event", details=details))

    assert page.status_code == 200
    file = parse_belt_text("""\
product: hand
triggers:
  - scm-event: {type: tag, repo: "https://git.example/acme/hand.git"}
    belts: build
belts:
  - name: build
    jobs:
      - name: compile
        commands: ["  indented", make]
        outputs: [{String: FILE}]
""").file
    assert file is not None
    definition = current_definition(product)
    assert spec_of(definition) == file
    assert definition == store_definition(product, file)


def test_an_edit_of_a_job_is_published_and_an_older_definition_stays(boss: Client) -> None:
    product = builders.a_product()
    add(boss, "belt", a_belt_form(product, a_job_form()))
    before = current_definition(product)
    job = Job.objects.get()
    change(boss, job, a_job_form(commands="ninja", timeout="600"))

    assert current_definition(product) != before
    assert spec_of(current_definition(product)).belts[0].jobs[0].commands == "ninja"
    job.refresh_from_db()
    assert job.timeout == "10m"


MISTAKES = [
    ({"inputs": '["no such input"]'}, "inputs", "inputs[0]: &quot;no such input&quot; is not an"),
    ({"commands": "echo '${hand.X}'"}, "commands", "stands in single quotes"),
    (
        {"timeout": "soon"},
        "timeout",
        "&quot;soon&quot; is not a duration. Write a number of seconds",
    ),
    ({"env": '{"PATH": "/"}'}, "env", "reserved for Conveyor"),
    ({"commands": ""}, "commands", "A job needs commands. The script of the job."),
    ({"post_run_timeout": "x"}, "post_run_timeout", "&quot;x&quot; is not a duration."),
]


def errors_at(page: Any, field: str) -> str:
    """Return what a page of the admin says at a field, named as in the posted form."""
    found = re.search(rf'<ul class="errorlist"[^>]* id="id_{field}_error">(.*?)</ul>', page)
    return found[1] if found else ""


@pytest.mark.parametrize(("wrong", "field", "says"), MISTAKES)
def test_a_mistake_is_told_at_its_field_in_the_form_as_it_was_filled_in(
    boss: Client, wrong: dict[str, str], field: str, says: str
) -> None:
    product = builders.a_product("hand")
    add(boss, "belt", a_belt_form(product, a_job_form()))
    before = current_definition(product)
    page = change(boss, Job.objects.get(), a_job_form(**{"queue": "typed-in", **wrong}))

    text = page.content.decode()
    assert says in errors_at(text, field)
    assert "typed-in" in text
    assert Job.objects.get().queue == ""
    assert current_definition(product) == before


@pytest.mark.parametrize(("wrong", "field", "says"), MISTAKES)
def test_on_the_page_of_the_belt_a_mistake_is_told_at_the_field_of_its_job(
    boss: Client, wrong: dict[str, str], field: str, says: str
) -> None:
    product = builders.a_product("hand")
    jobs = (a_job_form(name="first"), a_job_form(**wrong))
    text = add(boss, "belt", a_belt_form(product, *jobs)).content.decode()
    assert says in errors_at(text, f"jobs-1-{field}")
    assert text.count(says) == 1
    assert "What is wrong stands below." in text
    assert not Belt.objects.exists()


def test_what_is_no_json_is_told_with_an_example(boss: Client) -> None:
    product = builders.a_product(managed_by="admin")
    form = a_belt_form(product, a_job_form(inputs="source", outputs="[VERSION]"))
    page = boss.post("/admin/belts/belt/add/", form).content.decode()
    assert page.count("This is not JSON") == 2
    assert "[&quot;source&quot;, &quot;other-product.belt&quot;]" in page
    assert not Belt.objects.exists()


def test_a_mistake_of_the_belt_and_of_a_trigger_is_told_at_its_field(boss: Client) -> None:
    product = builders.a_product("hand")
    form = a_belt_form(product, a_job_form(), env='{"PATH": "/"}')
    page = add(boss, "belt", form).content.decode()
    assert "reserved for Conveyor" in errors_at(page, "env")

    add(boss, "belt", a_belt_form(product, a_job_form()))
    add(boss, "trigger", a_trigger_form(product))
    form = a_trigger_form(product, kind="schedule", details='{"cron": "bad"}')
    page = add(boss, "trigger", form).content.decode()
    assert "The cron expression &quot;bad&quot; is wrong" in errors_at(page, "details")
    assert Trigger.objects.count() == 1


def test_what_is_wrong_elsewhere_is_told_at_the_top(boss: Client) -> None:
    product = builders.a_product("hand")
    add(boss, "belt", a_belt_form(product, a_job_form(outputs='["FILE"]'), a_job_form(name="use")))
    use = Job.objects.get(name="use")
    change(boss, use, a_job_form(name="use", commands="cat ${compile.FILE}"))
    page = change(boss, Job.objects.get(name="compile"), a_job_form()).content.decode()
    assert "job build.use commands" in page
    assert "FILE" in page.partition('<ul class="errorlist nonfield">')[2].partition("</ul>")[0]


def test_a_belt_needs_a_job(boss: Client) -> None:
    product = builders.a_product("hand")
    page = add(boss, "belt", a_belt_form(product))
    assert "This belt has no job. Give it one with “Add another Job”." in page.content.decode()
    assert "it needs an entry" not in page.content.decode()
    assert not Belt.objects.exists()


def test_what_only_other_products_lack_is_a_warning(boss: Client) -> None:
    product = builders.a_product("hand")
    page = add(boss, "belt", a_belt_form(product, a_job_form(inputs='["later.belt"]')))
    assert "nor a product that is known" in page.content.decode()
    assert product.definitions.exists()


def test_a_trigger_of_a_missing_belt_is_kept_as_broken(boss: Client) -> None:
    product = builders.a_product("hand")
    add(boss, "belt", a_belt_form(product, a_job_form()))
    page = add(boss, "trigger", a_trigger_form(product, belts='["biuld"]'))
    assert "Did you mean" in page.content.decode()
    assert "biuld" in Trigger.objects.get().broken


def test_rows_that_were_wrong_before_are_mended_one_after_the_other(boss: Client) -> None:
    belt = builders.a_belt("build", jobs=["one", "two"], product=builders.a_product("hand"))
    Job.objects.update(timeout="soon")
    one, two = Job.objects.order_by("name")
    page = change(boss, one, a_job_form(name="one", timeout=""))
    assert "not in use yet" in page.content.decode()
    assert not belt.product.definitions.exists()

    change(boss, two, a_job_form(name="two", timeout=""))
    assert belt.product.definitions.exists()


def test_deleting_the_last_job_is_refused_and_others_are_deleted(boss: Client) -> None:
    product = builders.a_product("hand")
    add(boss, "belt", a_belt_form(product, a_job_form(), a_job_form(name="pack")))
    for name in ("compile", "pack"):
        path = reverse("admin:belts_job_delete", args=[Job.objects.get(name=name).pk])
        page = boss.post(path, {"post": "yes"}, follow=True)

    assert "It is the last job of its belt, and a belt needs one." in page.content.decode()
    assert [job.name for job in Job.objects.all()] == ["pack"]
    assert [job.name for job in spec_of(current_definition(product)).belts[0].jobs] == ["pack"]


def test_a_belt_that_has_run_is_archived_and_not_deleted(boss: Client) -> None:
    product = builders.a_product("hand")
    add(boss, "belt", a_belt_form(product, a_job_form()))
    belt = Belt.objects.get()
    builders.a_belt_run(belt=belt)
    path = reverse("admin:belts_belt_delete", args=[belt.pk])
    assert boss.post(path, {"post": "yes"}).status_code == 403

    for action, count in (("archive_belts", 0), ("restore_belts", 1)):
        form = {"action": action, "_selected_action": [str(belt.pk)]}
        boss.post(reverse("admin:belts_belt_changelist"), form)
        assert len(spec_of(current_definition(product)).belts) == count


def test_belts_of_a_file_are_not_archived_here(boss: Client) -> None:
    product = builders.a_product("filed", managed_by=Product.Manager.FILE)
    belt = builders.a_belt("build", product=product)
    form = {"action": "archive_belts", "_selected_action": [str(belt.pk)]}
    page = boss.post(reverse("admin:belts_belt_changelist"), form, follow=True)
    assert "edit the file, or detach" in page.content.decode()
    belt.refresh_from_db()
    assert belt.archived_at is None


def test_a_new_name_of_the_product_is_published(boss: Client) -> None:
    product = builders.a_product("hand")
    add(boss, "belt", a_belt_form(product, a_job_form()))
    inlines = {
        f"{prefix}-{name}": "0"
        for prefix in ("source", "memberships")
        for name in ("TOTAL_FORMS", "INITIAL_FORMS")
    }
    change(boss, product, {"name": "renamed", "description": "Now so.", **inlines})
    spec = spec_of(current_definition(product))
    assert (spec.product, spec.description) == ("renamed", "Now so.")


def test_a_new_product_has_no_definition_yet(boss: Client) -> None:
    inlines = {
        f"{prefix}-{name}": "0"
        for prefix in ("source", "memberships")
        for name in ("TOTAL_FORMS", "INITIAL_FORMS")
    }
    boss.post(reverse("admin:products_product_add"), {"name": "fresh", **inlines})
    product = Product.objects.get()
    assert not product.definitions.exists()
    page = boss.get(reverse("admin:products_product_change", args=[product.pk]))
    assert "none yet" in page.content.decode()


def test_the_product_links_to_its_definition_and_to_the_problems_of_its_file(boss: Client) -> None:
    product = builders.a_product("filed", managed_by=Product.Manager.FILE)
    good = parse_belt_text("product: filed").file
    assert good is not None
    publish(product, store_definition(product, good))
    text = "product: filed\nbelt: <b>\n"
    problems = [each.to_document() for each in parse_belt_text(text).problems]
    row = builders.a_commit_file(product, text=text, problems=problems, on_default_branch=True)

    page = boss.get(reverse("admin:products_product_change", args=[product.pk])).content.decode()
    file_path = reverse("admin:belts_commitfile_change", args=[row.pk])
    assert file_path in page
    assert "1 problem" in page
    assert reverse("admin:belts_definition_change", args=[current_definition(product).pk]) in page
    shown = boss.get(file_path).content.decode()
    assert "belt: &lt;b&gt;" in shown
    assert "key.unknown" in shown
    assert CommitFile.objects.count() == 1
