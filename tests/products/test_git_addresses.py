from __future__ import annotations

import pytest

from products.git.addresses import addresses_of
from products.git.errors import SourceUnreachableError, SourceUrlError
from products.git.urls import check_url, fetch_url, parse_url, same_host, same_repository
from products.models import Configuration

pytestmark = [pytest.mark.django_db, pytest.mark.database]

HOSTILE = [
    "",
    "-oProxyCommand=touch x",
    "--upload-pack=touch x",
    "ext::sh -c touch% x",
    "EXT::sh -c id",
    "ext::https://host/x",
    "fd::17/foo",
    "ftp://host/x",
    "javascript://host/x",
    "https://-host/x",
    "https://host/-x",
    "https://host/x/-u",
    "https://host/../x",
    "https://host/a/../../x",
    "https://host/x y",
    "https://host/x\ny",
    "https://host/x\r",
    "https://host/x?y",
    "https://host/x#y",
    "https://host\\x",
    "https://host",
    "https://host:0/x",
    "https://host:99999/x",
    "https://host:port/x",
    "https://user:password@host/x",
    "https://token@host/x",
    "https://host@other/x",
    "https://ho%73t/x",
    "https://höst/x",
    "https://host/$(id)",
    "https://host/`id`",
    "https://host/x;id",
    "https://host/x|id",
    "ssh://-oProxyCommand=x/y",
    "ssh://-u@host/x",
    "ssh://user:password@host/x",
    "ssh://us er@host/x",
    "-u@host:x",
    "user@-host:x",
    "user@host:-x",
    "user@host:../x",
    "user@host::x",
    "user@host:",
    "host",
    "relative/path",
    "./path",
    "../path",
    "C:\\path",
    "file://host/path",
    "/path/../other",
    "/path\nother",
    "https://host/" + "a" * 1000,
    "https://" + "a" * 900 + "/x",
    "https://" + "a." * 400 + "/x",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_what_is_no_address_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(SourceUrlError) as refused:
        parse_url(url)
    assert str(refused.value).endswith(".")
    assert "password@" not in str(refused.value)
    assert "token@" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/acme/thing.git",
        "https://git.example:8443/acme/thing",
        "ssh://git@git.example:2222/acme/thing.git",
        "git@github.com:acme/thing.git",
        "host.example:~ada/thing.git",
        "git://github.com/acme/thing",
        "https://[2001:db8::1]/thing",
    ],
)
def test_addresses_of_other_machines_are_allowed(url: str) -> None:
    assert check_url(url).host


def test_git_is_fetched_over_https_and_the_rest_as_written() -> None:
    assert fetch_url("git://github.com/acme/thing.git") == "https://github.com/acme/thing.git"
    for url in ("git@github.com:acme/thing.git", "ssh://git@h/x", "https://h:8443/x", "/srv/x.git"):
        assert fetch_url(url) == url
    assert fetch_url("https://h:443/x") == "https://h/x"
    assert fetch_url("file:///srv/x.git") == "/srv/x.git"


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("git://github.com/acme/thing.git", "https://github.com/acme/thing", True),
        ("git://github.com/acme/thing.git", "git@github.com:acme/thing.git", True),
        ("git@github.com:Acme/Thing.git", "https://GITHUB.com/acme/thing/", True),
        ("https://git.example/Acme/thing", "https://git.example/acme/thing", False),
        ("ssh://git@git.example:2222/a/b", "https://git.example/a/b.git", True),
        ("https://git.example:8443/a/b", "https://git.example/a/b", False),
        ("https://git.example:443/a/b", "http://git.example/a/b", True),
        ("https://git.example/a/b", "https://git.example/a/c", False),
        ("https://git.example/a/b", "https://other.example/a/b", False),
        ("/srv/a", "file:///srv/a/.git", True),
        ("/srv/a.git", "/srv/b.git", False),
        ("no address", "no address", True),
        ("no address", "https://git.example/a", False),
    ],
)
def test_one_repository_is_known_in_all_its_forms(a: str, b: str, same: bool) -> None:
    assert same_repository(a, b) is same
    assert same_repository(b, a) is same


def test_a_credential_goes_only_to_the_host_and_scheme_that_it_was_given_for() -> None:
    assert same_host("https://git.example/a", "git://git.example/b")
    assert not same_host("https://git.example/a", "http://git.example/a")
    assert not same_host("https://git.example/a", "https://git.example.evil/a")
    assert not same_host("https://git.example/a", "https://git.example:8443/a")


@pytest.mark.parametrize(
    "url",
    [
        "/srv/repository",
        "file:///srv/repository",
        "https://localhost/x",
        "https://LOCALHOST:1/x",
        "ssh://127.0.0.1/x",
        "https://127.1/x",
        "https://[::1]/x",
        "git@localhost:x",
    ],
)
def test_this_machine_needs_to_be_allowed(url: str) -> None:
    with pytest.raises(SourceUrlError, match="Allow local sources"):
        check_url(url)
    Configuration.objects.create(allow_local_sources=True)
    check_url(url)


def test_plain_http_needs_to_be_allowed() -> None:
    with pytest.raises(SourceUrlError, match="Allow http sources"):
        check_url("http://git.example/x")
    Configuration.objects.create(allow_http_sources=True)
    check_url("http://git.example/x")


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[::ffff:169.254.169.254]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[::ffff:0:7f00:1]",
        "[2001:db8::5efe:7f00:1]",
        "[2001:db8::200:5efe:7f00:1]",
        "[fd20:ce::254]",
        "0.1.2.3",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::a9fe:a9fe]",
        "[2002:7f00:1::]",
        "[2002:a9fe:a9fe::1]",
        "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
        "2130706433",
        "0x7f000001",
        "0.0.0.0",  # noqa: S104
        "[::]",
        "224.0.0.1",
        "255.255.255.255",
        "100.100.100.200",
    ],
)
def test_no_connection_is_made_to_where_no_repository_is(host: str) -> None:
    with pytest.raises(SourceUnreachableError, match="no repository is looked for"):
        addresses_of(parse_url(f"https://{host}/x"))


def test_a_name_without_address_is_said_to_have_none() -> None:
    with pytest.raises(SourceUnreachableError, match="cannot be resolved"):
        addresses_of(parse_url("https://no-such-host.invalid/x"))


def test_private_networks_are_allowed() -> None:
    assert addresses_of(parse_url("https://10.1.2.3/x")) == ["10.1.2.3"]
    assert addresses_of(parse_url("https://127.0.0.1/x")) == ["127.0.0.1"]


def test_addresses_that_carry_a_public_ipv4_address_are_allowed() -> None:
    assert addresses_of(parse_url("https://[64:ff9b::a01:203]/x")) == ["64:ff9b::a01:203"]


def test_schemes_have_no_case() -> None:
    assert fetch_url("HTTPS://host/Path") == "https://host/Path"
    assert fetch_url("File:///srv/x.git") == "/srv/x.git"
    assert same_repository("Https://host/x", "https://host/x.git")
