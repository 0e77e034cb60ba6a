"""Sources: the repositories of products."""

from __future__ import annotations

import re

from django.db import transaction
from django.db.models.functions import Now

from products.errors import UserError
from products.git.access import kind_problem
from products.git.errors import SourceCredentialError
from products.git.urls import check_url, same_host, same_repository
from products.models import Credential, Product, SeenRef, Source

_PART = re.compile(r"[^/\x00-\x1f\x7f]{1,255}")
_LONGEST_PATH = 500


class SourcePathError(UserError):
    """Something is no path of a file in a repository."""

    code = "source.path"

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path[:100]!a} is no path of a file in a repository. Write it from the repository's "
            "root, without '/' in front and without '.' or '..', as in ci/conveyor.yml."
        )


def check_path(path: str) -> None:
    """Raise SourcePathError unless a file in a repository may have this path."""
    parts = path.split("/")
    is_fine = all(_PART.fullmatch(part) and part not in (".", "..", ".git") for part in parts)
    if not is_fine or len(path) > _LONGEST_PATH:
        raise SourcePathError(path)


@transaction.atomic
def set_source(product: Product, url: str, path: str | None = None) -> Source:
    """Make a repository the source of the product, due for a poll; return the source.

    The address is stored as it is written. Without ``path`` the present path stays. The first poll
    of another repository makes no events. The credential stays only if the host stays the same.
    Raises SourceUrlError and SourcePathError.
    """
    check_url(url)
    if path is not None:
        check_path(path)
    source = Source.objects.select_for_update().filter(product=product).first()
    if source is None:
        source = Source(product=product)
    elif not same_repository(source.url, url):
        reset_polling(source)
    if source.url and not same_host(source.url, url):
        source.credential = None
    source.url = url
    source.path = path if path is not None else source.path
    poll_at_once(source)
    source.save()
    source.refresh_from_db()
    return source


@transaction.atomic
def give_credential(source: Source, credential: Credential) -> bool:
    """Have a source read with the credential, which its product may use then.

    Return False if it was so. Raises SourceCredentialError for one of no use at the address.
    """
    problem = kind_problem(source.url, credential.name, credential.kind)
    if problem is not None:
        raise SourceCredentialError(problem)
    credential.products.add(source.product)
    if source.credential_id == credential.pk:
        return False
    source.credential = credential
    poll_at_once(source)
    source.save()
    return True


def note_imported(product: Product, commit: str) -> None:
    """Note the head of the default branch whose file was imported before the first poll.

    The first poll compares with it, so that a push between the import and the poll is not lost.
    """
    rows = Source.objects.filter(product=product, first_seen_at__isnull=True)
    rows.update(head_commit=commit)


def reset_polling(source: Source) -> None:
    """Make the next poll the first one; the caller stores the source."""
    SeenRef.objects.filter(source=source).delete()
    source.first_seen_at = None
    source.default_branch = source.head_commit = ""
    source.polled_at = None


def poll_at_once(source: Source) -> None:
    """Make the next poll due, and end the claim of a running one; the caller stores the source."""
    source.due_at = Now()
    source.claimed_until = None
    source.error = source.warning = ""
