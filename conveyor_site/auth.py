"""Who calls the API and what they may: tokens and the scope that each view declares."""

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
            raise AuthenticationFailed("Write the header as Authorization: Bearer cvy_...")
        use = authenticate(words[1].decode("latin-1"))
        if use is None:
            raise AuthenticationFailed(
                "This token is not valid: it is unknown, has ended, or its user is switched off. "
                "Make a new one in the admin or with manage.py create_token."
            )
        return use.user, use

    def authenticate_header(self, request: Request) -> str:
        """Return the value of WWW-Authenticate."""
        return 'Bearer realm="Conveyor"'


class ScopedPermission(BasePermission):
    """Lets users in, and tokens whose scopes hold the one that the view declares as ``scope``.

    A view that declares none refuses everybody: forgetting it opens nothing.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the caller may use the view; raises PermissionDenied with a reason."""
        scope = getattr(view, "scope", None)
        if scope is None:
            raise PermissionDenied("This address declares no scope, so that nobody may use it.")
        if not request.user.is_authenticated:
            return False
        if isinstance(request.auth, TokenUse) and scope not in request.auth.scopes:
            raise PermissionDenied(
                f"The token {request.auth.name} has not the scope {scope}, which this needs. "
                "Make a token that has it."
            )
        return True
