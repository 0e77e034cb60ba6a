from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.checks import run_checks
from django.core.management import CommandError, call_command

from belts.spec.names import RESERVED_NAMES as RESERVED_NAMES_OF_BELT_FILE
from belts.spec.names import is_reserved_variable
from belts.spec.names import variable_of_credential as variable_of_belt_file
from products.credentials import (
    CredentialMissingError,
    CredentialsUnreadableError,
    CredentialUnreadableError,
    CredentialValueError,
    open_for_job,
    open_for_source,
    rotate_credentials,
    set_value,
    try_credentials,
)
from products.keys import KeysError, key_id_of, key_ring
from products.models import Credential
from products.names import RESERVED_NAMES, variable_of_credential, variable_problem
from tests.builders import a_credential, a_product, a_source

pytestmark = [pytest.mark.django_db, pytest.mark.database]

VALUE = "kestrel-9-canary"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nabcdef\n-----END OPENSSH PRIVATE KEY-----"


def a_key(letter: str) -> str:
    return base64.b64encode(letter.encode() * 32).decode()


@pytest.fixture(autouse=True)
def keys(settings: Any) -> None:
    settings.CONVEYOR_KEYS = f"k1:{a_key('a')}"


def with_value(credential: Credential, value: str = VALUE) -> Credential:
    set_value(credential, value)
    return credential


def a_private_key(form: str, passphrase: bytes | None) -> str:
    if form == "OpenSSH" and passphrase:
        # Only the beginning counts: what makes whole ones is no dependency of ours.
        begun = b"openssh-key-v1\0\0\0\0\x0aaes256-ctr\0\0\0\x06bcrypt" + bytes(range(90))
        lines = base64.encodebytes(begun).decode()
        return f"-----BEGIN {form.upper()} PRIVATE KEY-----\n{lines}-----END {form} -----\n"
    forms = {
        "OpenSSH": serialization.PrivateFormat.OpenSSH,
        "PKCS8": serialization.PrivateFormat.PKCS8,
        "PEM": serialization.PrivateFormat.TraditionalOpenSSL,
    }
    sealed_by = (
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption()
    )
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(serialization.Encoding.PEM, forms[form], sealed_by).decode()


def test_a_job_gets_the_credentials_it_names_in_their_order() -> None:
    product = a_product()
    with_value(a_credential(product, name="deploy-key"))
    with_value(a_credential(product, name="other"), "another value")
    opened = open_for_job(product, ["other", "deploy-key", "other"])
    assert [(each.name, each.variable, each.value) for each in opened] == [
        ("other", "OTHER", "another value"),
        ("deploy-key", "DEPLOY_KEY", VALUE),
    ]
    assert Credential.objects.filter(used_at__isnull=False).count() == 2


def test_a_value_is_read_at_the_moment_it_is_asked_for() -> None:
    product = a_product()
    credential = with_value(a_credential(product, name="token"))
    assert open_for_job(product, ["token"])[0].value == VALUE
    set_value(credential, "a newer value")
    assert open_for_job(product, ["token"])[0].value == "a newer value"


def test_the_stored_text_and_the_opened_credential_show_nothing() -> None:
    product = a_product()
    credential = with_value(a_credential(product, name="token"))
    assert VALUE not in credential.sealed
    assert base64.b64encode(VALUE.encode()).decode() not in credential.sealed
    assert VALUE not in repr(open_for_job(product, ["token"]))
    assert a_key("a") not in repr(key_ring())
    assert credential.changed_at is not None


def test_a_credential_of_another_product_is_refused_with_the_way_out() -> None:
    product, other = a_product("gem"), a_product("ami")
    with_value(a_credential(other, name="token"))
    with pytest.raises(
        CredentialMissingError, match="no credential token for the product gem"
    ) as e:
        open_for_job(product, ["token"])
    assert e.value.reason == "credential-missing"
    assert "admin" in str(e.value)


def test_a_credential_without_a_value_is_missing() -> None:
    product = a_product()
    a_credential(product, name="token")
    with pytest.raises(CredentialMissingError, match="token has no value yet"):
        open_for_job(product, ["token"])


def test_a_source_gets_its_credential_only_for_its_own_product() -> None:
    product = a_product()
    bound = with_value(a_credential(product, kind="git", username="ada"))
    opened = open_for_source(a_source(product, credential=bound))
    assert opened is not None
    assert (opened.kind, opened.username, opened.value) == ("git", "ada", VALUE)
    assert open_for_source(a_source()) is None
    with pytest.raises(CredentialMissingError):
        open_for_source(a_source(credential=bound))


def test_a_sealed_text_that_was_copied_to_another_row_does_not_open() -> None:
    product = a_product()
    one = with_value(a_credential(product, name="one"))
    a_credential(product, name="two", sealed=one.sealed)
    with pytest.raises(CredentialUnreadableError, match="credential two cannot be opened"):
        open_for_job(product, ["two"])


@pytest.mark.parametrize("damage", ["v1.k1.AAAA", "v1.k1.???", "v1", "nonsense", "v1.k1."])
def test_damaged_text_is_said_to_be(damage: str) -> None:
    product = a_product()
    a_credential(product, name="token", sealed=damage)
    with pytest.raises(CredentialUnreadableError, match="write the credential's value again"):
        open_for_job(product, ["token"])


def test_a_key_that_is_gone_is_named(settings: Any) -> None:
    product = a_product()
    with_value(a_credential(product, name="token"))
    settings.CONVEYOR_KEYS = f"k2:{a_key('b')}"
    with pytest.raises(CredentialUnreadableError, match="the key k1, which CONVEYOR_KEYS lacks"):
        open_for_job(product, ["token"])


def test_the_first_key_seals_and_all_of_them_open(settings: Any) -> None:
    product = a_product()
    old = with_value(a_credential(product, name="old"))
    settings.CONVEYOR_KEYS = f" k2:{a_key('b')}, k1:{a_key('a')} "
    new = with_value(a_credential(product, name="new"))
    assert (key_id_of(old.sealed), key_id_of(new.sealed)) == ("k1", "k2")
    assert [each.value for each in open_for_job(product, ["old", "new"])] == [VALUE, VALUE]


def test_rotation_seals_again_with_the_newest_key_and_says_how_many(settings: Any) -> None:
    product = a_product()
    for name in ("one", "two"):
        with_value(a_credential(product, name=name))
    a_credential(product, name="empty")
    settings.CONVEYOR_KEYS = f"k2:{a_key('b')},k1:{a_key('a')}"
    said = io.StringIO()
    call_command("rotate_keys", stdout=said)
    assert "Encrypted 2 credentials with the key k2" in said.getvalue()
    assert "No longer needed in CONVEYOR_KEYS: k1." in said.getvalue()
    settings.CONVEYOR_KEYS = f"k2:{a_key('b')}"
    assert {each.value for each in open_for_job(product, ["one", "two"])} == {VALUE}
    assert rotate_credentials() == 0


def test_rotation_does_the_others_and_names_what_it_cannot_open(settings: Any) -> None:
    product = a_product()
    a_credential(product, name="broken", sealed="v1.k0.AAAA")
    fine = with_value(a_credential(product, name="fine"))
    settings.CONVEYOR_KEYS = f"k2:{a_key('b')},k1:{a_key('a')}"
    with pytest.raises(CommandError, match=r"1 of 2 credentials cannot be opened \(broken: it"):
        call_command("rotate_keys", stdout=io.StringIO())
    fine.refresh_from_db()
    assert key_id_of(fine.sealed) == "k2"


@pytest.mark.parametrize("keys", [f"k1:{a_key('b')}", f"k2:{a_key('b')}", f"k2:{a_key('a')}"])
def test_keys_that_open_nothing_are_not_said_to_be_well(settings: Any, keys: str) -> None:
    sealed = with_value(a_credential(a_product(), name="token")).sealed
    settings.CONVEYOR_KEYS = keys
    said = io.StringIO()
    with pytest.raises(CommandError, match="1 of 1 credentials cannot be opened"):
        call_command("rotate_keys", stdout=said)
    assert "Encrypted 0 credentials" in said.getvalue()
    assert Credential.objects.get().sealed == sealed


def test_unreadable_credentials_are_named_up_to_a_limit() -> None:
    product = a_product()
    for number in range(23):
        a_credential(product, name=f"broken-{number:02}", sealed="v1.k0.AAAA")
    with_value(a_credential(product, name="fine"))
    a_credential(product, name="empty")
    with pytest.raises(CredentialsUnreadableError, match=r"23 of 24 .*; and 3 more") as refused:
        try_credentials()
    assert "broken-19" in str(refused.value)
    assert "broken-20" not in str(refused.value)
    assert VALUE not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it holds no key"),
        ("justakey", "pair 1 has no id"),
        (f"k1:{'a' * 20}", "instead of 32"),
        ("k1:!!!!", "the key k1 is not base64"),
        (f"k1:{a_key('a')},k1:{a_key('b')}", "the id k1 stands there twice"),
    ],
)
def test_malformed_keys_are_explained_without_showing_them(
    settings: Any, text: str, said: str
) -> None:
    settings.CONVEYOR_KEYS = text
    with pytest.raises(KeysError, match=said) as refused:
        key_ring()
    for part in text.split(":"):
        assert len(part) < 8 or part not in str(refused.value)
    messages = [str(each.msg) for each in run_checks(tags=["security"])]
    assert any(said in each for each in messages)


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("variable", "short", "cannot be masked"),
        ("variable", "with\0nul-inside", "NUL"),
        ("variable", "x" * 70_000, "too long"),
        ("git", "two lines\nof it", "one line"),
        ("ssh-key", "no key at all", "BEGIN OPENSSH PRIVATE KEY"),
    ],
)
def test_values_that_no_job_could_use_are_refused(kind: str, value: str, said: str) -> None:
    credential = a_credential(a_product(), kind=kind)
    with pytest.raises(CredentialValueError, match=said):
        set_value(credential, value)
    assert not Credential.objects.get().sealed


def test_an_ssh_key_is_given_with_the_line_end_that_ssh_needs() -> None:
    product = a_product()
    with_value(a_credential(product, name="key", kind="ssh-key"), KEY)
    assert open_for_job(product, ["key"])[0].value == KEY + "\n"


@pytest.mark.parametrize("form", ["OpenSSH", "PKCS8", "PEM"])
@pytest.mark.parametrize("passphrase", [None, b"open sesame"])
def test_a_key_that_wants_a_passphrase_is_refused(form: str, passphrase: bytes | None) -> None:
    text = a_private_key(form, passphrase)
    credential = a_credential(a_product(), kind="ssh-key")
    if passphrase is None:
        set_value(credential, text)
        return
    with pytest.raises(CredentialValueError, match="has a passphrase"):
        set_value(credential, text)


@pytest.mark.parametrize("name", ["deploy-key", "a", "A_b-9", "9lives", "-".join("abc")])
def test_the_variable_is_the_one_that_belt_files_are_checked_for(name: str) -> None:
    assert variable_of_credential(name) == variable_of_belt_file(name)


@pytest.mark.parametrize(
    "variable", ["PATH", "LD_PRELOAD", "GIT_DIR", "CONVEYOR_X", "PS4", "UID", "TOKEN", "MY_PATH"]
)
def test_variables_are_the_platforms_own_here_as_in_belt_files(variable: str) -> None:
    assert (variable_problem(variable) is not None) == is_reserved_variable(variable)


def test_the_same_names_are_reserved_in_the_admin_and_in_belt_files() -> None:
    assert RESERVED_NAMES == RESERVED_NAMES_OF_BELT_FILE
