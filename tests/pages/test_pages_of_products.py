"""Pages of products: the problems of a belt file, and the last run of each product."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags
from pytest_django import Settings

from belts.commit_files import store_commit_file
from belts.models import CommitFile, Trigger
from belts.spec import parse_belt_text
from products.models import Configuration, Product
from products.polling import poll_source
from tests import builders
from tests.products.repositories import Repository

pytestmark = [pytest.mark.django_db, pytest.mark.database]

BROKEN = b"product: small\nbelst:\n  - <b>name</b>: build\n"


def boss() -> Client:
    client = Client()
    client.force_login(builders.a_user("boss", staff=True))
    return client


def test_refs_that_polling_passed_over_are_shown() -> None:
    product = builders.a_product()
    source = builders.a_source(product=product, warning="Nothing starts for heads/long.")
    shown = [product.get_absolute_url(), reverse("admin:products_source_changelist")]
    shown += [reverse("admin:products_source_change", args=[source.pk])]
    client = boss()
    for address in shown:
        assert "Nothing starts for heads/long." in client.get(address).content.decode()


def test_pushes_between_polls_are_one_event_with_both_ends(
    tmp_path: Path, settings: Settings
) -> None:
    settings.CONVEYOR_DATA_DIR = tmp_path / "data"
    Configuration.objects.create(allow_local_sources=True)
    repository = Repository(tmp_path / "repository")
    old = repository.commit("one")
    source = builders.a_source(url=repository.url, default_branch="")
    poll_source(source.pk)
    new = [repository.commit(text) for text in ("two", "three", "four")][-1]

    assert poll_source(source.pk) == 1

    client = boss()
    page = client.get(source.product.get_absolute_url()).content.decode()
    assert f'<code title="{new}">{new[:10]}</code>' in page
    assert f'on main, which was at <code title="{old}">{old[:10]}</code>.' in page
    [event] = client.get("/api/v1/events/").json()["results"]
    assert (event["before"], event["commit"]) == (old, new)


def test_new_branch_was_nowhere_before() -> None:
    product = builders.a_product()
    builders.an_event(product)
    client = boss()
    assert "which was at" not in client.get(product.get_absolute_url()).content.decode()
    [event] = client.get("/api/v1/events/").json()["results"]
    assert event["before"] == ""


NOTHING = "No triggers. People and programs can start its belts."


def text_of(page: bytes) -> str:
    """Return the words of the section of triggers."""
    section = page.decode().partition("<h2>Triggers</h2>")[2].partition("</section>")[0]
    return " ".join(strip_tags(section).split())


@pytest.mark.parametrize("types", ["pull-request", ["push", "pull-request"]])
def test_trigger_of_events_that_never_come_is_marked(types: str | list[str]) -> None:
    web = builders.a_product("web")
    Trigger.objects.create(product=web, kind="scm-event", details={"type": types}, belts=["b"])
    page = boss().get(web.get_absolute_url()).content
    assert "Conveyor does not receive pull-request events yet." in text_of(page)


def test_downstreams_of_other_belts_are_listed_with_triggers() -> None:
    image = builders.a_product("image")
    web = builders.a_product("web")
    release = builders.a_belt("release", product=web, jobs=["pack", "try-out"])
    client = boss()
    assert text_of(client.get(image.get_absolute_url()).content) == NOTHING

    to_image = {"downstream-product": "image", "belts": "build"}
    release.jobs.filter(name="try-out").update(downstreams=[to_image])
    release.jobs.filter(name="pack").update(downstreams=[{**to_image, "downstream-product": "im"}])
    both = builders.a_belt("both", product=web, downstreams=[{**to_image, "belts": ["a", "b"]}])
    builders.a_belt("gone", product=web, downstreams=[to_image], archived_at=timezone.now())
    page = client.get(image.get_absolute_url()).content

    said = (
        "downstream of web.both starts a, b downstream of job try-out of web.release starts build"
    )
    assert text_of(page) == said
    assert f'<a href="{both.get_absolute_url()}">web.both</a>' in page.decode()


def test_downstreams_of_hidden_products_are_not_named() -> None:
    image = builders.a_product("image")
    downstreams = [{"downstream-product": "image", "belts": ["build"]}]
    builders.a_belt("release", product=builders.a_product("web"), downstreams=downstreams)
    client = Client()
    client.force_login(builders.a_member(image, "viewer"))
    page = client.get(image.get_absolute_url()).content
    assert text_of(page) == "downstream of a product that you may not see starts build"


def broken_file(product: Product, commit: str, *, on_default_branch: bool) -> CommitFile:
    problems = parse_belt_text(BROKEN).problems
    return store_commit_file(
        product,
        commit,
        data=BROKEN,
        problems=problems,
        definition=None,
        on_default_branch=on_default_branch,
    )


def test_broken_file_of_the_default_branch_is_marked_everywhere() -> None:
    product = builders.a_product("small", managed_by=Product.Manager.FILE)
    definition = builders.a_definition(product, current=True)
    builders.a_commit_file(product, definition=definition, on_default_branch=True)
    broken_file(product, "a" * 40, on_default_branch=True)
    link = f'href="{product.get_absolute_url()}#problems"'
    client = boss()
    home, products = client.get("/").content.decode(), client.get("/products/").content.decode()
    assert f"The belt file of <a {link}>small</a> at <code>aaaaaaaaaa</code> has errors." in home
    assert f'<a class="tag trouble" {link}>belt file broken</a>' in products
    assert 'id="problems"' in client.get(product.get_absolute_url()).content.decode()

    builders.a_commit_file(product, definition=definition, on_default_branch=True)
    for address in ("/", "/products/"):
        assert "belt file broken" not in client.get(address).content.decode()


def test_broken_file_of_a_branch_marks_its_event_with_the_problems() -> None:
    product = builders.a_product("small", managed_by=Product.Manager.FILE)
    good, bad = builders.an_event(product), builders.an_event(product)
    definition = builders.a_definition(product)
    builders.a_commit_file(product, commit=good.commit, definition=definition)
    file = broken_file(product, bad.commit, on_default_branch=False)
    client = boss()
    page = client.get(product.get_absolute_url()).content.decode()
    _, _, events = page.partition("<h2>Recent events</h2>")
    assert events.count('<li class="broken">') == 1
    assert f'<a class="tag trouble" href="#file-{file.pk}">belt file broken</a>' in events
    assert f'<details id="file-{file.pk}">' in events
    assert "Did you mean &quot;belts&quot;?" in events
    for address in ("/", "/products/"):
        assert "belt file broken" not in client.get(address).content.decode()


def test_broken_files_of_others_are_hidden_from_a_member() -> None:
    mine, other = builders.a_product("mine"), builders.a_product("other")
    Product.objects.update(managed_by=Product.Manager.FILE)
    broken_file(mine, "a" * 40, on_default_branch=True)
    broken_file(other, "b" * 40, on_default_branch=True)
    client = Client()
    client.force_login(builders.a_member(mine, "viewer"))
    home = client.get("/").content.decode()
    assert "at <code>aaaaaaaaaa</code> has errors" in home
    assert "bbbbbbbbbb" not in home


def test_a_broken_file_is_shown_with_the_offending_lines() -> None:
    product = builders.a_product("small", managed_by=Product.Manager.FILE)
    problems = parse_belt_text(BROKEN).problems
    store_commit_file(product, "a" * 40, data=BROKEN, problems=problems, definition=None)

    page = boss().get(product.get_absolute_url()).content.decode()

    assert "Runs of a commit with a broken file are refused" in page
    assert "line 2:1:" in page
    assert '<pre class="excerpt">belst:</pre>' in page
    assert "Did you mean &quot;belts&quot;?" in page
    assert "<b>" not in page


def test_products_are_listed_with_their_last_run(client: Client) -> None:
    web, image = builders.a_product("web"), builders.a_product("image")
    test = builders.a_belt("test", product=web)
    builders.a_belt_run({"a": "succeeded"}, belt=test)
    builders.a_belt_run({"a": "succeeded"}, belt=builders.a_belt("release", product=web))
    last = builders.a_belt_run({"a": "failed"}, belt=test)
    client.force_login(builders.a_user("boss", staff=True))

    page = client.get("/products/")
    admin_page = client.get(reverse("admin:products_product_changelist")).content.decode()
    rows = {
        row["name"]: row["last_run"] for row in client.get("/api/v1/products/").json()["results"]
    }
    one = client.get("/api/v1/products/web/").json()

    assert page.context["last_runs"] == {web.pk: last}
    assert f'href="{last.get_absolute_url()}" title="Last run: test #2"' in page.content.decode()
    assert "no runs" in page.content.decode()
    assert f">test #2: {last.state}</a>" in admin_page
    assert (rows["web"]["id"], rows["web"]["state"]) == (str(last.pk), last.state)
    assert rows["image"] is None
    assert one["last_run"] == rows["web"]
    assert image.pk not in page.context["last_runs"]
