"""Tokens that are made on the command line."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from products.models import ApiToken
from products.tokens import authenticate
from tests import builders

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def test_token_for_an_unseen_product_is_refused() -> None:
    builders.a_member(builders.a_product("image"), name="ana")
    builders.a_product("web")
    refusal = "ana may not see web, so the token would reach nothing there. Add a membership"
    with pytest.raises(CommandError, match=refusal):
        call_command("create_token", "ana", "--product", "image", "--product", "web")
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize("is_staff", [True, False])
def test_token_for_a_seen_product_is_limited_to_it(is_staff: bool) -> None:
    product = builders.a_product("image")
    user = builders.a_user("ana", staff=True) if is_staff else builders.a_member(product)
    out = StringIO()
    call_command("create_token", user.username, "--product", "image", stdout=out)
    use = authenticate(out.getvalue().strip())
    assert use is not None
    assert use.product_ids == frozenset({product.pk})
