"""Reading the belt file of a source at one commit."""

from __future__ import annotations

from products.credentials import open_for_source
from products.git.blobs import LARGEST_FILE, read_file
from products.git.logins import shown
from products.git.mirror import ensure_commit, find_commit
from products.git.site import allowed_for_file, mirrors_folder
from products.git.snapshot import NotInPartsError, fetch_file
from products.git.urls import check_url
from products.models import Source


def read_belt_file(source: Source, commit: str) -> bytes:
    """Return the belt file of a source at a commit, fetched unless it is here.

    It is fetched alone, or with the whole repository from a server that hands out no parts; either
    within what the site allows a file. Raises FileMissingError where that commit has none,
    FileTooLargeError, and what ``ensure_commit``, ``check_url`` and ``open_for_source`` raise.
    """
    check_url(source.url)
    credential = open_for_source(source)
    folder, allowance = mirrors_folder(), allowed_for_file()
    mirror = find_commit(folder, source.url, commit, credential=credential)
    if mirror is None:
        try:
            return fetch_file(
                folder, source.url, commit, source.path, credential=credential, allowance=allowance
            )
        except NotInPartsError:
            mirror = ensure_commit(
                folder, source.url, commit, credential=credential, allowance=allowance
            )
    return read_file(mirror, commit, source.path, where=f"of {shown(source.url)}")


__all__ = ["LARGEST_FILE", "read_belt_file", "read_file"]
