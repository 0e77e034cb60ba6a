"""The account of the administrator of a fresh site."""

from __future__ import annotations

import secrets

from django.contrib.auth import get_user_model

ADMIN = "admin"


def ensure_admin() -> str | None:
    """Make the account ``admin`` and return its password; None if there is an administrator.

    The password is stored hashed, as all are: what is returned is seen once.
    """
    users = get_user_model().objects
    if users.filter(is_superuser=True).exists() or users.filter(username=ADMIN).exists():
        return None
    password = secrets.token_urlsafe(12)
    users.create_superuser(username=ADMIN, password=password)
    return password
