"""A logged-in caller of a running site, with the cookies of a browser."""

from __future__ import annotations

import re
from http.cookiejar import Cookie, CookieJar
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, ProxyHandler, build_opener

from django.contrib.auth.models import User
from django.test import Client

from tests.waiting import PATIENCE_S

_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')


class StaffBrowser:
    """Reads pages and sends forms of the site at ``url`` as ``user``.

    The site must have the secret key and the database of this process.
    """

    def __init__(self, url: str, user: User) -> None:
        self._url = url
        client = Client()
        client.force_login(user)
        jar = CookieJar()
        jar.set_cookie(_session_cookie(client.cookies["sessionid"].value))
        self._open = build_opener(ProxyHandler({}), HTTPCookieProcessor(jar)).open

    def get(self, path: str) -> str:
        """Return the text of the page."""
        return self._send(path, None)

    def post(self, path: str, given: dict[str, str]) -> str:
        """Send the form of a page and return the page that follows."""
        found = _TOKEN.search(self.get(path))
        assert found is not None
        return self._send(path, urlencode({**given, "csrfmiddlewaretoken": found[1]}).encode())

    def _send(self, path: str, body: bytes | None) -> str:
        with self._open(self._url + path, data=body, timeout=PATIENCE_S) as answer:
            text: str = answer.read().decode()
            return text


def _session_cookie(value: str) -> Cookie:
    return Cookie(
        version=0,
        name="sessionid",
        value=value,
        port=None,
        port_specified=False,
        domain="127.0.0.1",
        domain_specified=False,
        domain_initial_dot=False,
        path="/",
        path_specified=True,
        secure=False,
        expires=None,
        discard=True,
        comment=None,
        comment_url=None,
        rest={},
    )
