"""``manage.py create_token USER``: makes an API token and prints it, once."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from products.errors import UserError
from products.models import Product
from products.tokens import DEFAULT_DAYS, MAX_DAYS, SCOPES, issue_token

_LIFE = f"It ends after so many, 1 to {MAX_DAYS}. Default: %(default)s."


class Command(BaseCommand):
    """Makes a token of a user; the token alone goes to standard output."""

    help = "Make an API token of a user and print it; it cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("user", metavar="USER", help="The name of whose token it is.")
        parser.add_argument(
            "--scope",
            choices=sorted(SCOPES),
            default="read",
            help="read looks; run also starts, cancels and repeats. Default: %(default)s.",
        )
        parser.add_argument("--days", type=int, default=DEFAULT_DAYS, help=_LIFE)
        parser.add_argument("--name", default="command line", help="What it is for.")
        parser.add_argument(
            "--product",
            action="append",
            default=[],
            metavar="PRODUCT",
            help="For this product only; may be repeated. Without it: every product of the user.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Make it; raises CommandError for a user or product that does not exist."""
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['user']}. See the admin under Users.")
        products = list(Product.objects.filter(name__in=options["product"]))
        missing = set(options["product"]) - {product.name for product in products}
        if missing:
            raise CommandError(f"There is no product {', '.join(sorted(missing))}.")
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
