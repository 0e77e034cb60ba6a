"""Who guesses passwords is kept waiting, however the name is written and wherever it comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http.cookiejar import CookieJar
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, ProxyHandler, Request, build_opener

import pytest
from django.core.cache import cache
from django.test import Client
from django.test.utils import override_settings

from conveyor_site.throttle import FAILURES, LoginThrottle
from tests import builders
from tests.conveyor_site.conftest import Start
from tests.waiting import at_once

RIGHT = "right-horse-battery"


@pytest.fixture(autouse=True)
def no_failures_yet() -> Iterator[None]:
    cache.clear()
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield
    cache.clear()


def an_account(name: str) -> None:
    user = builders.a_user(name)
    user.set_password(RIGHT)
    user.save()


def status(client: Client, name: str, password: str, **headers: str) -> int:
    answer = client.post("/login/", {"username": name, "password": password}, headers=headers)
    return answer.status_code


@pytest.mark.django_db
def test_after_five_wrong_passwords_not_even_the_right_one_is_looked_at(client: Client) -> None:
    an_account("anna")
    assert [status(client, "anna", "wrong") for _ in range(FAILURES + 1)] == [200] * 5 + [429]
    assert status(client, "anna", RIGHT) == 429


@pytest.mark.django_db
@pytest.mark.parametrize(
    "name", ["anna ", "\tanna", "\uff41nna", "ANNA", " \uff41\uff4e\uff4e\uff41"]
)
def test_an_account_is_one_however_its_name_is_written(client: Client, name: str) -> None:
    an_account("anna")
    for _ in range(FAILURES):
        status(client, "anna", "wrong")
    assert status(client, name, RIGHT) == 429


@pytest.mark.django_db
def test_who_is_logged_in_guesses_at_other_accounts_no_faster(client: Client) -> None:
    an_account("anna")
    client.force_login(builders.a_user("mallory"))
    assert [status(client, "anna", "wrong") for _ in range(FAILURES + 1)][-1] == 429


@pytest.mark.django_db
def test_right_passwords_are_not_counted_and_forgive_no_wrong_ones(client: Client) -> None:
    an_account("anna")
    assert {status(client, "anna", RIGHT) for _ in range(FAILURES + 2)} == {302}
    for _ in range(FAILURES - 1):
        status(client, "anna", "wrong")
    assert status(client, "anna", RIGHT) == 302
    assert [status(client, "anna", "wrong") for _ in range(2)] == [200, 429]


@pytest.mark.django_db(transaction=True)
def test_many_guesses_at_once_are_no_more_than_one_after_another() -> None:
    an_account("anna")
    tries = [lambda: status(Client(), "anna", "wrong") for _ in range(FAILURES + 3)]
    answers = at_once(*tries)
    assert (answers.count(200), answers.count(429)) == (FAILURES, 3)


@pytest.mark.django_db
def test_a_crowd_of_other_names_makes_no_count_forgotten(client: Client) -> None:
    an_account("anna")
    for _ in range(FAILURES):
        status(client, "anna", "wrong")
    for number in range(400):
        LoginThrottle(f"nobody-{number}", "127.0.0.1").admits()
    assert status(client, "anna", RIGHT) == 429


@pytest.mark.django_db
def test_a_user_who_is_logged_in_is_led_on_to_a_path_only(client: Client) -> None:
    client.force_login(builders.a_user("anna"))
    for wanted, place in (("no-view", "no-view"), ("/products/", "/products/"), ("//evil", "/")):
        answer = client.get("/login/", {"next": wanted})
        assert (answer.status_code, answer["Location"]) == (302, place)


# --- Through a real server ------------------------------------------------------------------------
class Guesser:
    """A browser without a proxy, which says for whom it asks."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/login/"
        self._opener: OpenerDirector = build_opener(
            ProxyHandler({}), HTTPCookieProcessor(CookieJar())
        )

    def guess(self, address: str) -> int:
        with self._opener.open(self._url) as page:
            token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', page.read().decode())
        assert token is not None
        form = {"username": "anna", "password": "wrong", "csrfmiddlewaretoken": token[1]}
        request = Request(self._url, urlencode(form).encode())  # noqa: S310 - the test's own
        request.add_header("X-Forwarded-For", address)
        try:
            with self._opener.open(request) as answer:
                return int(answer.status)
        except HTTPError as error:
            with error:
                return error.code


@pytest.mark.processes
@pytest.mark.parametrize(("proxies", "last"), [("", 429), ("127.0.0.1", 200)])
def test_the_address_of_a_caller_is_believed_from_named_proxies_only(
    start: Start, proxies: str, last: int
) -> None:
    guesser = Guesser(start(CONVEYOR_PROXIES=proxies).ready().url)
    guesses = [guesser.guess(f"192.0.2.{number}") for number in range(FAILURES + 1)]
    assert guesses[-1] == last
