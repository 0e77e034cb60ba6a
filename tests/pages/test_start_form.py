"""The form that starts a belt: what is refused comes back as it was filled in."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from belts.models import Belt
from products.models import Configuration, Product
from runs.models import BeltRun
from tests import builders
from tests.belts.git_repositories import Repository
from tests.engine import publish_text

pytestmark = [pytest.mark.django_db, pytest.mark.database]

FILE = """\
product: thing
belts:
  - name: build
    jobs:
      - {name: compile, commands: make}
"""


@pytest.fixture
def ada(client: Client) -> Client:
    client.force_login(builders.a_user("ada", staff=True))
    return client


@pytest.fixture
def belt(db: None) -> Belt:
    return Belt.objects.get(product=publish_text(FILE), name="build")


def start(ada: Client, belt: Belt, **given: str) -> HttpResponse:
    return ada.post(f"{belt.get_absolute_url()}start/", given)  # type: ignore[return-value]  # of tests


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ({"ref": "main"}, "ref", "has no source, so there is no ref main"),
        ({"ref": "-x"}, "ref", "has no source"),
        ({"parameters": "A=1\nPATH=/x"}, "parameters", "PATH is reserved"),
        ({"parameters": "A=1\n2=x"}, "parameters", "Line 2 is not NAME=value"),
        ({"parameters": "A=1\n\nA=2"}, "parameters", "Line 3 gives A again, after line 1."),
    ],
)
def test_what_is_refused_is_told_at_its_field_and_nothing_is_lost(
    ada: Client, belt: Belt, given: dict[str, str], field: str, said: str
) -> None:
    filled = {"ref": "", "parameters": "KEPT=yes", **given}

    answer = start(ada, belt, **filled)  # without downstream

    page = answer.content.decode()
    form = answer.context["form"]  # type: ignore[attr-defined]  # of tests
    assert answer.status_code == 400
    assert list(form.errors) == [field]
    assert said in page
    assert form["ref"].value() == filled["ref"]
    assert str(form["ref"]) in page
    assert filled["parameters"] in page
    assert "checked" not in page
    assert not BeltRun.objects.exists()


def test_a_ref_that_the_repository_lacks_is_told_at_the_ref(
    ada: Client, belt: Belt, tmp_path: Path
) -> None:
    Configuration.objects.create(allow_local_sources=True)
    repository = Repository(tmp_path)
    repository.commit(FILE)
    builders.a_source(belt.product, url=str(repository.bare))

    answer = start(ada, belt, ref="mian", continue_downstream="on")

    page = answer.content.decode()
    assert answer.status_code == 400
    assert "Did you mean main?" in page
    assert 'value="mian"' in page
    assert "checked" in page


def test_what_is_about_no_field_is_told_above_the_form(ada: Client, belt: Belt) -> None:
    builders.a_source(belt.product, url="/nowhere/to/be/found")

    answer = start(ada, belt, parameters="KEPT=yes")

    page = answer.content.decode()
    assert answer.status_code == 400
    assert "Allow local sources" in page
    assert "KEPT=yes" in page


def test_an_archived_belt_has_no_form_and_says_so(ada: Client, belt: Belt) -> None:
    Belt.objects.update(archived_at=timezone.now())

    answer = ada.post(f"{belt.get_absolute_url()}start/", {}, follow=True)

    page = answer.content.decode()
    assert answer.status_code == 200
    assert "is archived" in page


def test_archived_product_has_no_form_and_says_so(ada: Client, belt: Belt) -> None:
    Product.objects.update(archived_at=timezone.now())

    answer = ada.post(f"{belt.get_absolute_url()}start/", {}, follow=True)

    page = answer.content.decode()
    assert f"The product {belt.product} is archived. Restore it in the admin" in page
    assert "Start it" not in page


def test_the_address_of_the_form_with_mistakes_leads_to_the_belt(ada: Client, belt: Belt) -> None:
    answer = ada.get(f"{belt.get_absolute_url()}start/")
    assert (answer.status_code, answer["Location"]) == (302, belt.get_absolute_url())
