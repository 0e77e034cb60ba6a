"""Credentials: encryption, and release to the jobs and sources that may use them.

A run does not freeze its credentials. They are read, authorised and decrypted when they are needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Now

from products.errors import PlatformError, UserError
from products.keys import KeyRing, UnsealError, key_id_of, key_ring
from products.models import Credential, Product, Source
from products.names import variable_of_credential
from products.ssh_keys import has_passphrase

#: A shorter value cannot be masked in logs, because it would mask ordinary words.
SHORTEST_VALUE = 6
LONGEST_VALUE = 64 * 1024
_USE_NOTED_EVERY = timedelta(minutes=1)
_MOST_NAMED = 20
_WAY_OUT = (
    "Put the key back into CONVEYOR_KEYS, or write the credential's value again in the admin."
)


class CredentialMissingError(UserError):
    """A job or source wants a credential that there is not, or that is not for its product."""

    code = "credential.missing"
    reason: ClassVar[str] = "credential-missing"

    def __init__(self, name: str, product: Product) -> None:
        super().__init__(
            f"There is no credential {name} for the product {product.name}. An administrator can "
            f"add it in the admin under Credentials, or add {product.name} to its products."
        )


class CredentialUnknownError(UserError):
    """An operator names a credential that does not exist."""

    code = "credential.missing"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"There is no credential {name!a}. Make it in the admin under Credentials, of kind git "
            "for https or of kind ssh-key for ssh."
        )


class CredentialEmptyError(CredentialMissingError):
    """A credential has a name and no value yet."""

    def __init__(self, name: str) -> None:
        UserError.__init__(
            self, f"The credential {name} has no value yet. Write it in the admin, Credentials."
        )


class CredentialUnreadableError(PlatformError):
    """A credential's value cannot be opened with the keys that are there."""

    code = "credential.unreadable"

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"The credential {name} cannot be opened: {what}. {_WAY_OUT}")
        self.name = name
        self.what = what


class CredentialsUnreadableError(PlatformError):
    """Values of several credentials cannot be opened with the keys that are there."""

    code = "credential.unreadable"

    def __init__(self, each: Sequence[CredentialUnreadableError], count: int) -> None:
        names = "; ".join(f"{error.name}: {error.what}" for error in each[:_MOST_NAMED])
        more = f"; and {len(each) - _MOST_NAMED} more" if len(each) > _MOST_NAMED else ""
        super().__init__(
            f"{len(each)} of {count} credentials cannot be opened ({names}{more}). {_WAY_OUT}"
        )


class CredentialValueError(UserError):
    """A value cannot be kept as a credential of its kind."""

    code = "credential.value"


@dataclass(frozen=True, slots=True)
class OpenedCredential:
    """A credential with its decrypted value, for the caller only; it is never stored.

    ``kind`` is a text of ``Credential.Kind``; ``variable`` is where a job finds the value or the
    path of the file with it; ``username`` is empty except for git.
    """

    name: str
    kind: str
    variable: str
    username: str
    value: str = field(repr=False)


# --- Values ---------------------------------------------------------------------------------------
def value_problem(kind: str, value: str) -> str | None:
    """Return why ``value`` cannot be kept as a credential of that kind, None if it can."""
    if len(value) < SHORTEST_VALUE:
        return f"A value of less than {SHORTEST_VALUE} characters cannot be masked in logs."
    if len(value.encode()) > LONGEST_VALUE:
        return f"A value of more than {LONGEST_VALUE} bytes is too long for a credential."
    if "\0" in value:
        return "A value with a NUL in it cannot be given to a job."
    if kind == Credential.Kind.GIT and not value.isprintable():
        return "A password is one line. Remove the line end."
    if kind == Credential.Kind.SSH_KEY and "PRIVATE KEY-----" not in value.split("\n", 1)[0]:
        return "An SSH private key begins with a line like -----BEGIN OPENSSH PRIVATE KEY-----."
    if kind == Credential.Kind.SSH_KEY and has_passphrase(value):
        return (
            "This key has a passphrase, which nothing can enter. Remove it from a copy of the key: "
            "ssh-keygen -p -f FILE"
        )
    return None


def username_problem(kind: str, username: str) -> str | None:
    """Return why a credential of that kind cannot have this username, None if it can."""
    # Reference: RFC 7617, 2: the first colon ends the name.
    if kind == Credential.Kind.GIT and ":" in username:
        return "A username has no colon. Write the password into the field value."
    return None


def set_value(credential: Credential, value: str) -> None:
    """Seal ``value`` into the credential, which must be stored already.

    Raises CredentialValueError for a value that its kind cannot have, and KeysError.
    """
    problem = value_problem(credential.kind, value)
    if problem is not None:
        raise CredentialValueError(problem)
    sealed = key_ring().seal(value, belongs_to=_place(credential.pk))
    Credential.objects.filter(pk=credential.pk).update(sealed=sealed, changed_at=Now())
    credential.refresh_from_db(fields=["sealed", "changed_at"])


def _place(credential_id: UUID) -> str:
    return f"products.credential.sealed|{credential_id}"


def _opened(credential: Credential, keys: KeyRing) -> OpenedCredential:
    if not credential.sealed:
        raise CredentialEmptyError(credential.name)
    try:
        value = keys.unseal(credential.sealed, belongs_to=_place(credential.pk))
    except UnsealError as error:
        raise CredentialUnreadableError(credential.name, error.what) from error
    if credential.kind == Credential.Kind.SSH_KEY:
        value = value.rstrip("\n") + "\n"  # ssh refuses a key without a line end at its end
    return OpenedCredential(
        name=credential.name,
        kind=str(credential.kind),
        variable=credential.variable or variable_of_credential(credential.name),
        username=credential.username,
        value=value,
    )


# --- Giving them out ------------------------------------------------------------------------------
def open_for_job(product: Product, names: Iterable[str]) -> list[OpenedCredential]:
    """Return the product's credentials of these names, in their order, opened now.

    Raises CredentialMissingError for the first that the product may not have or that has no
    value, CredentialUnreadableError and KeysError.
    """
    wanted = list(dict.fromkeys(names))
    if not wanted:
        return []
    rows = {row.name: row for row in Credential.objects.filter(products=product, name__in=wanted)}
    for name in wanted:
        if name not in rows:
            raise CredentialMissingError(name, product)
    keys = key_ring()
    opened = [_opened(rows[name], keys) for name in wanted]
    Credential.objects.filter(pk__in=[row.pk for row in rows.values()]).update(used_at=Now())
    return opened


def credential_named(name: str) -> Credential:
    """Return the credential that an operator names; raises CredentialUnknownError."""
    credential = Credential.objects.filter(name=name).first()
    if credential is None:
        raise CredentialUnknownError(name)
    return credential


def open_for_source(source: Source) -> OpenedCredential | None:
    """Return the credential of a source, opened now; None if it has none.

    A source that is not stored has no product yet: an operator chose its credential. That it was
    used is noted once a minute. Raises what ``open_for_job`` raises.
    """
    credential = source.credential
    if credential is None:
        return None
    has_product = source.product_id is not None
    if has_product and not credential.products.filter(pk=source.product_id).exists():
        raise CredentialMissingError(credential.name, source.product)
    opened = _opened(credential, key_ring())
    Credential.objects.filter(
        Q(used_at__isnull=True) | Q(used_at__lt=Now() - _USE_NOTED_EVERY), pk=credential.pk
    ).update(used_at=Now())
    return opened


# --- Keys and all credentials ---------------------------------------------------------------------
def try_credentials() -> int:
    """Open every stored value as a test; return the number of values.

    Raises CredentialsUnreadableError, which names those that cannot be opened, and KeysError.
    """
    keys = key_ring()
    unreadable, count = [], 0
    for pk, name, sealed in _sealed():
        count += 1
        try:
            keys.unseal(sealed, belongs_to=_place(pk))
        except UnsealError as error:
            unreadable.append(CredentialUnreadableError(name, error.what))
    if unreadable:
        raise CredentialsUnreadableError(unreadable, count)
    return count


def why_closed(credential: Credential) -> str | None:
    """Return why the stored value cannot be opened; None if it can, or if there is no value."""
    try:
        _opened(credential, key_ring())
    except CredentialEmptyError:
        return None
    except PlatformError as error:
        return str(error)
    return None


def rotate_credentials() -> int:
    """Encrypt with the newest key all values of older keys; return their number.

    Jobs may start meanwhile. Each row changes in one statement, and only if it was not written
    since it was read. Until then the older key opens it. A value that cannot be opened stays
    unchanged, and ``try_credentials`` finds it. Raises KeysError.
    """
    keys = key_ring()
    done = 0
    for pk, _name, sealed in _sealed():
        if key_id_of(sealed) == keys.newest:
            continue
        try:
            value = keys.unseal(sealed, belongs_to=_place(pk))
        except UnsealError:
            continue
        again = keys.seal(value, belongs_to=_place(pk))
        done += Credential.objects.filter(pk=pk, sealed=sealed).update(sealed=again)
    return done


def keys_in_use() -> set[str]:
    """Return the ids of the keys that stored credentials were sealed with."""
    return {key_id_of(sealed) for _pk, _name, sealed in _sealed()}


def _sealed() -> Iterator[tuple[UUID, str, str]]:
    rows = Credential.objects.exclude(sealed="").order_by("name")
    return iter(rows.values_list("pk", "name", "sealed"))
