"""Authentication and scopes of the API: tokens, and the scope that each view declares."""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from products.tokens import TokenUse, authenticate

_KEYWORDS = (b"bearer", b"token")


class TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer cvy_...``; ``request.auth`` is a ``products.tokens.TokenUse``."""

    def authenticate(self, request: Request) -> tuple[Any, TokenUse] | None:
        """Return user and token; None without such a header; raises AuthenticationFailed."""
        words = get_authorization_header(request).split()
        if not words or words[0].lower() not in _KEYWORDS:
            return None
        if len(words) != 2:
            raise AuthenticationFailed(
                "The header Authorization is malformed. Send Authorization: Bearer cvy_..."
            )
        use = authenticate(words[1].decode("latin-1"))
        if use is None:
            raise AuthenticationFailed(
                "The token is not valid: it is unknown, it has expired, or its user is not active. "
                "Create a new one in the admin or with manage.py create_token."
            )
        return use.user, use

    def authenticate_header(self, request: Request) -> str:
        """Return the value of WWW-Authenticate."""
        return 'Bearer realm="Conveyor"'


class ScopedPermission(BasePermission):
    """Admits users, and tokens that have the scope that the view declares as ``scope``.

    A view without a scope refuses every request: a forgotten scope opens nothing.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the caller is logged in; raises PermissionDenied for a missing scope."""
        scope = getattr(view, "scope", None)
        if scope is None:
            raise PermissionDenied(
                "This address declares no scope, so access is refused. Report this as a bug."
            )
        if not request.user.is_authenticated:
            return False
        if isinstance(request.auth, TokenUse) and scope not in request.auth.scopes:
            raise PermissionDenied(
                f"The token {request.auth.name} lacks the scope {scope}, which this request needs. "
                "Create a token with this scope."
            )
        return True
