"""``manage.py create_token USER``: make an API token and print it once."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from products.errors import UserError
from products.models import Product
from products.tokens import DEFAULT_DAYS, MAX_DAYS, SCOPES, issue_token

_LIFE = f"Days until the token expires, 1 to {MAX_DAYS}. Default: %(default)s."


class Command(BaseCommand):
    """Makes an API token for a user; standard output has the token only."""

    help = "Make an API token for a user and print it. It cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("user", metavar="USER", help="User who owns the token.")
        parser.add_argument(
            "--scope",
            choices=sorted(SCOPES),
            default="read",
            help="read allows reading; run also allows start, cancel and rerun. Default: "
            "%(default)s.",
        )
        parser.add_argument("--days", type=int, default=DEFAULT_DAYS, help=_LIFE)
        parser.add_argument("--name", default="command line", help="What the token is for.")
        parser.add_argument(
            "--product",
            action="append",
            default=[],
            metavar="PRODUCT",
            help="Limit the token to this product; may be given several times. Default: all "
            "products that the user may see.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Make it; raises CommandError for a user or product that does not exist."""
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(
                f"There is no user {options['user']}. Add one in the admin under Users."
            )
        products = list(Product.objects.filter(name__in=options["product"]))
        missing = set(options["product"]) - {product.name for product in products}
        if missing:
            raise CommandError(
                f"There is no product {', '.join(sorted(missing))}. Check the name in the list of "
                "products."
            )
        _refuse_unseen(user, products)
        try:
            issued = issue_token(
                user,
                name=options["name"],
                scopes=[options["scope"]],
                all_products=not products,
                products=products,
                days=options["days"],
            )
        except UserError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(issued.text)


def _refuse_unseen(user: User, products: list[Product]) -> None:
    """Raise CommandError for products that the user may not see: the token would reach nothing."""
    seen = set(Product.objects.visible_to(user))
    unseen = ", ".join(sorted(product.name for product in products if product not in seen))
    if unseen:
        raise CommandError(
            f"{user.get_username()} may not see {unseen}, so the token would reach nothing there. "
            "Add a membership in the admin under Memberships first."
        )
